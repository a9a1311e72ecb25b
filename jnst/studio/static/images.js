// Photographs and paintings: wells to drop, paste and choose; the shelves beneath, the style sheet, the mix.

import { imagePreview, post, remove, sheetPreview } from "./api.js";
import { settle, showDraft } from "./controls.js";
import { byId, keyed, make, message, show } from "./dom.js";
import { forget } from "./events.js";
import { editMask } from "./mask.js";
import { active, changed, state } from "./store.js";
import { bytes, currentLanguage, number, text } from "./texts.js";

const wells = () => document.querySelectorAll(".well");
const SHEET_PAUSE = 2500; // milliseconds without a painting
let [uploads, sheetTimer] = [0, 0];

export function choosePhotograph(id) {
  if (state.photograph !== id) for (const part of state.paintings) part.mask = null; // it had this photograph's shape
  state.photograph = id;
  state.sheet = null;
  showDraft();
  settle();
  clearTimeout(sheetTimer);
  sheetTimer = setTimeout(() => { // who drops a painting at once waits for no sheet
    if (state.photograph === id && !state.paintings.length && sheetImages().length > 1) makeSheet();
  }, SHEET_PAUSE);
}

export function choosePainting(id, { mix = false } = {}) {
  const chosen = state.paintings.some((part) => part.image === id);
  const part = { image: id, weight: 1, mask: null };
  if (!mix) state.paintings = [state.paintings.find((old) => old.image === id) ?? part];
  else if (chosen) state.paintings = state.paintings.filter((old) => old.image !== id);
  else state.paintings = [...state.paintings, part];
  showDraft();
  settle();
}

// A recipe brings its settings back, and those of its pictures that are among the uploads.
export function applyRecipe({ settings, photograph, paintings, names, weights, masks }) {
  state.settings = { ...state.defaults, ...settings };
  const here = (id) => id && state.images.has(id);
  if (here(photograph)) state.photograph = photograph;
  const found = paintings.map((image, k) => ({ image, weight: weights?.[k] ?? 1, mask: masks?.[k] ?? null })).filter((part) => here(part.image));
  if (found.length) state.paintings = found;
  const missing = paintings.map((id, k) => (here(id) ? null : names?.paintings?.[k])).filter(Boolean);
  if (!here(photograph) && names?.photograph) missing.unshift(names.photograph);
  showDraft();
  settle();
  return missing.length ? text("recipeMissing", { names: missing.join(", ") }) : text("recipeBack");
}

async function upload(file, role, { asPicture = false } = {}) {
  const name = file.name || "picture.png"; // a pasted picture has none
  const limit = state.machine?.max_upload_bytes ?? Infinity;
  if (file.size > limit) {
    message(text("tooLarge", { name, size: bytes(file.size), limit: bytes(limit) }), { error: true });
    return;
  }
  const well = document.querySelector(`.well[data-role=${role}]`);
  well.dataset.busy = ++uploads;
  const told = await post(`images?role=${role}`, file, { "X-Name": encodeURIComponent(name) });
  if (well.dataset.busy === String(uploads)) delete well.dataset.busy;
  if (!told) return;
  state.images.set(told.image.id, told.image);
  const use = () => (role === "photograph" ? choosePhotograph(told.image.id) : choosePainting(told.image.id));
  if (!told.recipe || asPicture) use();
  else message(applyRecipe(told.recipe), { action: { label: text("useAsPicture"), close: text("close"), run: use } });
  changed();
}

async function take(files, role) {
  const given = [...files];
  for (const [k, file] of given.entries()) await upload(file, role ?? emptyRole(k));
}

const emptyRole = (k = 0) => (k === 0 && !state.photograph ? "photograph" : "painting");
const roleAt = (target) => target?.closest?.(".well")?.dataset.role;

function sheetImages() {
  return [...state.images.values()].filter((image) => image.role === "painting");
}

async function makeSheet() {
  if (!state.photograph) return;
  const told = await post("sheets", { photograph: state.photograph, paintings: "all" });
  if (!told) return;
  if (!state.jobs.has(told.job.id)) state.jobs.set(told.job.id, told.job);
  state.sheet = told.job.id;
  changed();
}

async function removeImage(image) {
  if (!(await remove(`images/${image.id}`))) return;
  forget(image.id);
  settle();
}

export function startImages() {
  for (const well of wells()) {
    const input = well.querySelector("input");
    input.addEventListener("change", () => {
      take(input.files, well.dataset.role).then(() => { input.value = ""; });
    });
  }
  byId("make-sheet").addEventListener("click", makeSheet);
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
    for (const well of wells()) well.classList.toggle("over", well.dataset.role === (roleAt(event.target) ?? emptyRole()));
  };
  const end = () => {
    document.body.classList.remove("dropping");
    for (const well of wells()) well.classList.remove("over");
  };
  addEventListener("dragover", over);
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) end(); });
  addEventListener("drop", (event) => {
    end();
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take(event.dataTransfer.files, roleAt(event.target));
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files, roleAt(document.activeElement));
  });
}

function thumb(image, { mix }) {
  const pick = () => (image.role === "photograph" ? choosePhotograph(image.id) : choosePainting(image.id));
  const face = make("button", { type: "button", class: "thumb", click: pick, title: image.name },
    make("img", { alt: "", loading: "lazy" }), make("span", {}, image.name));
  const item = make("li", {}, face);
  if (mix) item.append(make("button", { type: "button", class: "corner plus", click: () => choosePainting(image.id, { mix: true }) }));
  if (!image.example) item.append(make("button", { type: "button", class: "corner cross", click: () => removeImage(image) }, "×"));
  return item;
}

function drawThumb(item, image, chosen, address) {
  const [face, ...corners] = item.querySelectorAll("button");
  face.setAttribute("aria-pressed", chosen);
  show(face.querySelector("img"), address);
  for (const corner of corners) {
    const plus = corner.classList.contains("plus");
    if (plus) corner.textContent = chosen ? "−" : "+";
    if (plus) corner.disabled = !chosen && !state.paintings.length; // the first one is chosen, not mixed
    const key = plus ? (chosen ? "takeFromMix" : "addToMix") : "removeImage";
    corner.setAttribute("aria-label", text(key, { name: image.name }));
  }
}

export function drawImages() {
  const all = [...state.images.values()].sort((a, b) => a.example - b.example); // one's own come first
  const photographs = all.filter((image) => image.role === "photograph" || image.id === state.photograph);
  const paintings = all.filter((image) => image.role === "painting" || state.paintings.some((part) => part.image === image.id));
  for (const well of wells()) {
    const id = well.dataset.role === "photograph" ? state.photograph : state.paintings[0]?.image;
    const image = state.images.get(id);
    const picture = well.querySelector("img");
    if (image) show(picture, imagePreview(id, 384), image.name);
    else picture.hidden = true;
    well.classList.toggle("full", Boolean(image));
    const more = well.dataset.role === "painting" && state.paintings.length > 1 ? ` + ${state.paintings.length - 1}` : "";
    well.querySelector(".name").textContent = image ? image.name + more : "";
  }
  keyed(byId("photographs"), photographs, (image) => image.id, (image) => thumb(image, { mix: false }),
    (item, image) => drawThumb(item, image, image.id === state.photograph, imagePreview(image.id, 128)));

  const sheet = state.jobs.get(state.sheet);
  const tried = new Map((sheet?.sheet ?? []).filter((entry) => entry.version !== null).map((entry) => [entry.painting, entry]));
  keyed(byId("paintings"), paintings, (image) => image.id, (image) => thumb(image, { mix: true }), (item, image) => {
    const entry = tried.get(image.id);
    const chosen = state.paintings.some((part) => part.image === image.id);
    drawThumb(item, image, chosen, entry ? sheetPreview(sheet, entry) : imagePreview(image.id, 192));
  });
  byId("make-sheet").disabled = !state.photograph || !paintings.length || active(sheet);
  const values = { n: sheet?.sheet?.length, p: Math.round(100 * (sheet?.progress ?? 0)) };
  byId("sheet-state").textContent = active(sheet) ? text("sheetWorking", values) : sheet?.state === "failed" ? sheet.error : "";
  drawMix();
}

function drawMix() {
  const several = state.paintings.length > 1;
  const name = (part) => state.images.get(part.image)?.name ?? "";
  const of = (image) => state.paintings.find((part) => part.image === image); // weights may have become another object
  keyed(byId("mix"), state.paintings, (part) => part.image + currentLanguage(), (part) => {
    const weigh = (event) => {
      of(part.image).weight = Number(event.target.value);
      settle();
    };
    return make("li", {}, make("span", { class: "name" }, name(part)),
      make("label", { class: "grow" }, make("input", { type: "range", min: "0.1", max: "3", step: "0.1", input: weigh })), make("output"),
      make("button", { type: "button", class: "plain", click: () => editMask(of(part.image)) }));
  }, (item, part) => {
    const slider = item.querySelector("input");
    slider.value = part.weight;
    slider.setAttribute("aria-label", text("weight", { name: name(part) }));
    item.querySelector("label").hidden = item.querySelector("output").hidden = !several;
    item.querySelector("output").textContent = number(part.weight, 1);
    const button = item.querySelector("button");
    button.textContent = text(part.mask ? "maskSet" : "mask");
    button.setAttribute("aria-label", `${button.textContent} ${name(part)}`);
    button.disabled = !state.photograph;
  });
}
