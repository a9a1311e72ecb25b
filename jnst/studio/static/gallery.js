// Finished pictures with their recipes: open, take the settings back, download, delete.

import { download, remove, resultImage } from "./api.js";
import { byId, keyed, make, message } from "./dom.js";
import { forget } from "./events.js";
import { applyRecipe } from "./images.js";
import { changed, state } from "./store.js";
import { currentLanguage, duration, moment, number, text } from "./texts.js";

const FORMATS = [["png", "PNG"], ["png16", null], ["tiff", null], ["jpeg", "JPEG"]];
const PROFILES = [["srgb", "sRGB"], ["display-p3", "Display P3"]];

export function downloadMenu(result) {
  const choice = make("select", {}, ...PROFILES.map(([value, name]) => make("option", { value }, name)));
  const close = () => {
    menu.open = false;
    menu.firstElementChild.focus();
  };
  const fetchAs = (format) => async ({ currentTarget: button }) => {
    button.setAttribute("aria-busy", "true"); // encoding a large picture takes seconds
    await download(result.id, format, choice.value);
    button.removeAttribute("aria-busy");
    close();
  };
  const menu = make("details", { class: "download" },
    make("summary", { "aria-label": text("downloadOf", { name: result.name }) }, text("download")),
    make("div", { class: "menu" }, make("label", {}, text("profile"), choice), ...FORMATS.map(([format, name]) =>
      make("button", { type: "button", "data-format": format, click: fetchAs(format) }, name ?? text(format)))));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  return menu;
}

export function startGallery() {
  addEventListener("click", (event) => { // a menu closes when the click is elsewhere
    for (const menu of document.querySelectorAll("details.download[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}

function recipe({ settings, seconds, width, height }) {
  const parts = [`${text("strength")} ${number(settings.strength)}`, `${text("stroke")} ${number(settings.stroke)}`, text(settings.quality)];
  if (settings.colors === "photograph") parts.push(text("photographColors"));
  return [parts.join(" · "), `${width} × ${height} px · ${duration(seconds)}`];
}

function card(result) {
  const { id, name } = result;
  const open = () => {
    [state.open, state.view] = [id, "result"];
    changed();
    byId("stage").focus({ preventScroll: true });
    byId("stage").scrollIntoView({ block: "nearest" });
  };
  const take = () => {
    const names = { photograph: name, paintings: [name] };
    message(applyRecipe({ ...result, names }));
  };
  const erase = async ({ currentTarget: button }) => { // asks once more, in place
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.textContent = text("removeSure");
      setTimeout(() => {
        button.classList.remove("sure");
        button.textContent = text("remove");
      }, 4000);
    } else if (await remove(`results/${id}`)) {
      forget(id);
      changed();
    }
  };
  const plain = (key, label, click) => make("button", { type: "button", class: "plain", click, "aria-label": text(label, { name }) }, text(key));
  const [first, second] = recipe(result);
  return make("li", {},
    make("button", { type: "button", class: "face", click: open, "aria-label": text("openResult", { name }) },
      make("img", { alt: "", loading: "lazy", src: resultImage(id, "preview", 384) })),
    make("p", { class: "name" }, name), make("p", { class: "quiet" }, first), make("p", { class: "quiet" }, second),
    make("p", { class: "quiet" }, moment(result.created)),
    make("div", { class: "row wrap" }, downloadMenu(result), plain("useSettings", "useSettingsOf", take),
      make("button", { type: "button", class: "plain", click: erase }, text("remove"))));
}

export function drawGallery() {
  const results = [...state.results.values()].sort((a, b) => (a.created < b.created ? 1 : -1));
  byId("gallery-empty").hidden = results.length > 0;
  keyed(byId("results"), results, (result) => result.id + currentLanguage(), card, (item, { id }) => {
    item.classList.toggle("open", state.view === "result" && state.open === id);
  });
}
