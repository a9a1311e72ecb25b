// Every text of the page, English and German, and numbers in the reader's way.

export const TEXTS = {
  skip: ["Skip to the picture", "Zum Bild springen"],
  device: ["computes on: {device}", "rechnet auf: {device}"],
  otherLanguage: ["Deutsch", "English"],
  pictures: ["Pictures", "Bilder"],
  photograph: ["Photograph", "Foto"],
  painting: ["Painting", "Gemälde"],
  wellHint: ["drop, paste or choose", "ablegen, einfügen oder wählen"],
  choosePhotograph: ["Choose a photograph", "Foto wählen"],
  choosePainting: ["Choose paintings", "Gemälde wählen"],
  photographs: ["Photographs", "Fotos"],
  sheet: ["Style sheet", "Stilbogen"],
  makeSheet: ["Try every painting", "Alle Gemälde probieren"],
  sheetWorking: ["Trying {n} paintings, {p} %", "{n} Gemälde werden probiert, {p} %"],
  addToMix: ["Add {name} to the mix", "{name} zur Mischung hinzufügen"],
  takeFromMix: ["Take {name} out of the mix", "{name} aus der Mischung nehmen"],
  removeImage: ["Remove {name}", "{name} entfernen"],
  weight: ["Weight of {name}", "Gewicht von {name}"],
  mask: ["Mask …", "Maske …"],
  maskOf: ["Mask of {name}", "Maske von {name}"],
  maskSet: ["Mask ✓", "Maske ✓"],
  picture: ["Picture", "Bild"],
  views: ["What is shown", "Was gezeigt wird"],
  viewDraft: ["Draft", "Entwurf"],
  viewPaint: ["Canvas", "Leinwand"],
  viewResult: ["Before and after", "Vorher und nachher"],
  emptyBoth: ["Choose a photograph and a painting: a draft appears here by itself.",
    "Ein Foto und ein Gemälde wählen: Der Entwurf erscheint hier von selbst."],
  emptyPhotograph: ["Now a photograph.", "Jetzt ein Foto."],
  emptyPainting: ["Now a painting. The style sheet shows what each would make of it.",
    "Jetzt ein Gemälde. Der Stilbogen zeigt, was jedes daraus machen würde."],
  emptyPaint: ["Nothing is being painted.", "Es wird nichts gemalt."],
  altDraft: ["Draft of the picture", "Entwurf des Bildes"],
  altPaint: ["The picture as it is painted", "Das Bild, wie es gemalt wird"],
  altResult: ["The painted picture", "Das gemalte Bild"],
  altBefore: ["The photograph", "Das Foto"],
  working: ["working", "arbeitet"],
  waiting: ["waiting", "wartet"],
  before: ["Before", "Vorher"],
  after: ["After", "Nachher"],
  split: ["How much of the photograph is shown", "Wie viel vom Foto gezeigt wird"],
  zoom: ["Zoom", "Vergrößerung"],
  zoomFit: ["Fit", "Einpassen"],
  progress: ["Progress", "Fortschritt"],
  scaleOf: ["Scale {k} of {n}", "Stufe {k} von {n}"],
  iterationOf: ["iteration {k} of {n}", "Schritt {k} von {n}"],
  left: ["{time} left", "noch {time}"],
  curve: ["Loss curve, now {loss}", "Verlauf des Fehlers, jetzt {loss}"],
  percentDone: ["{p} % painted", "{p} % gemalt"],
  queue: ["Queue", "Warteschlange"],
  queueStop: ["Stop {name}", "{name} anhalten"],
  queueDrop: ["Drop {name}", "{name} verwerfen"],
  drop: ["Drop", "Verwerfen"],
  hide: ["Hide", "Ausblenden"],
  reading: ["reading", "liest"],
  compiling: ["compiling", "übersetzt"],
  writing: ["writing", "schreibt"],
  queued: ["queued", "wartet"],
  stopping: ["stopping, the best so far is kept", "hält an, das Beste bleibt"],
  done: ["painted", "gemalt"],
  stopped: ["stopped, the best so far is kept", "angehalten, das Beste bleibt"],
  cancelled: ["cancelled", "abgebrochen"],
  failed: ["failed: {error}", "fehlgeschlagen: {error}"],
  settings: ["Settings", "Einstellungen"],
  strength: ["Strength", "Stärke"],
  stroke: ["Stroke size", "Pinselstrich"],
  quality: ["Quality", "Qualität"],
  draft: ["draft", "Entwurf"],
  standard: ["standard", "normal"],
  fine: ["fine", "fein"],
  size: ["Longer side", "Längere Seite"],
  keepColors: ["Keep the photograph's colours", "Farben des Fotos behalten"],
  seed: ["Seed", "Startzahl"],
  plan: ["{width} × {height} px, {time}, {memory}", "{width} × {height} px, {time}, {memory}"],
  planTime: ["about {time}", "etwa {time}"],
  planNoTime: ["time known after a draft", "Zeit nach einem Entwurf bekannt"],
  planMemory: ["{memory} of {limit}", "{memory} von {limit}"],
  planTooLarge: ["{width} × {height} px needs {memory}, there is {limit}: choose a smaller side",
    "{width} × {height} px braucht {memory}, vorhanden sind {limit}: kleinere Seite wählen"],
  paint: ["Paint", "Malen"],
  stop: ["Stop", "Anhalten"],
  gallery: ["Gallery", "Galerie"],
  galleryEmpty: ["Finished pictures hang here. Drop one anywhere and all its settings come back.",
    "Hier hängen die fertigen Bilder. Eines irgendwo ablegen, und alle seine Einstellungen kommen zurück."],
  openResult: ["Before and after: {name}", "Vorher und nachher: {name}"],
  useSettings: ["Use settings", "Übernehmen"],
  useSettingsOf: ["Use settings of {name}", "Übernehmen: Einstellungen von {name}"],
  download: ["Download", "Herunterladen"],
  downloadOf: ["Download {name}", "{name} herunterladen"],
  profile: ["Colour profile", "Farbprofil"],
  png16: ["PNG, 16 bits", "PNG, 16 Bit"],
  tiff: ["TIFF, 16 bits", "TIFF, 16 Bit"],
  remove: ["Delete", "Löschen"],
  removeOf: ["Delete {name}", "{name} löschen"],
  removeSure: ["Delete for good?", "Endgültig löschen?"],
  photographColors: ["photograph's colours", "Farben des Fotos"],
  recipeBack: ["All settings of this picture are back.", "Alle Einstellungen dieses Bildes sind zurück."],
  recipeMissing: ["The settings are back. Not here any more, drop: {names}",
    "Die Einstellungen sind zurück. Nicht mehr hier, bitte ablegen: {names}"],
  useAsPicture: ["Use it as a picture instead", "Stattdessen als Bild verwenden"],
  tooLarge: ["{name} has {size}, at most {limit} are taken: make it smaller",
    "{name} hat {size}, höchstens {limit} gehen: bitte verkleinern"],
  offline: ["The connection to jnst studio is lost; trying again.", "Die Verbindung zu jnst studio fehlt; neuer Versuch."],
  unauthorised: ["This address has no key: open the one that jnst studio printed.",
    "Dieser Adresse fehlt der Schlüssel: die öffnen, die jnst studio gezeigt hat."],
  close: ["Close", "Schließen"],
  maskHelp: ["Paint where this painting is to be seen. Arrow keys move the brush, the space bar paints.",
    "Male an, wo dieses Gemälde zu sehen sein soll. Pfeiltasten bewegen den Pinsel, die Leertaste malt."],
  maskCanvas: ["Mask on the photograph, {p} % covered", "Maske auf dem Foto, {p} % bedeckt"],
  tool: ["Tool", "Werkzeug"],
  brush: ["Brush", "Pinsel"],
  erase: ["Erase", "Radieren"],
  brushSize: ["Size", "Größe"],
  hardness: ["Hardness", "Härte"],
  undo: ["Undo", "Zurück"],
  invert: ["Invert", "Umkehren"],
  clear: ["Clear", "Leeren"],
  maskSave: ["Use mask", "Maske nehmen"],
  maskRemove: ["Without mask", "Ohne Maske"],
  cancel: ["Cancel", "Abbrechen"],
};

let language = recalled() ?? (navigator.language.toLowerCase().startsWith("de") ? "de" : "en");

function recalled() {
  try { return localStorage.getItem("jnst-language"); } catch { return null; }
}

export function currentLanguage() { return language; }

export function switchLanguage() {
  language = language === "en" ? "de" : "en";
  try { localStorage.setItem("jnst-language", language); } catch { /* a private window forgets */ }
}

export function text(key, values = {}) {
  const found = TEXTS[key];
  if (!found) throw new Error(`no text ${key}`);
  return found[language === "de" ? 1 : 0].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The texts of index.html: data-text is the content, data-label the name that is read aloud.
export function translatePage() {
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = text(place.dataset.text);
  for (const place of document.querySelectorAll("[data-label]")) place.setAttribute("aria-label", text(place.dataset.label));
}

export function number(value, digits = 2) {
  return new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function significant(value) {
  return new Intl.NumberFormat(language, { maximumSignificantDigits: 3 }).format(value);
}

export function duration(seconds) {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  if (whole < 5400) return `${Math.round(whole / 60)} min`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}

export function bytes(count) {
  return count < 1e9 ? `${significant(Math.round(count / 1e6))} MB` : `${number(count / 1e9, 1)} GB`;
}

export function moment(iso) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}
