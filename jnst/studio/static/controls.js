// The settings: sliders, the draft that follows them, the plan, and the buttons that start and stop.

import { post } from "./api.js";
import { byId, make } from "./dom.js";
import { active, changed, ready, remember, request, state } from "./store.js";
import { bytes, duration, number, text } from "./texts.js";

const QUALITIES = ["draft", "standard", "fine"];
const SIZES = [64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];
const PAUSE = 250; // milliseconds without a change before the server is asked

let [draftTimer, planTimer, asked, planned] = [0, 0, 0, null];

export function showDraft() { state.view = "draft"; }

// Something has changed: kept, drafted and planned. The draft's size and quality are its own.
export function settle({ draft = true } = {}) {
  remember();
  clearTimeout(planTimer);
  state.plan = null;
  if (ready()) planTimer = setTimeout(plan, PAUSE);
  if (draft) {
    clearTimeout(draftTimer);
    state.busy = ready();
    if (ready()) draftTimer = setTimeout(sendDraft, PAUSE);
  }
  changed();
}

async function sendDraft() {
  const turn = ++asked;
  const told = await post("drafts", request());
  if (turn !== asked) return; // a newer one is on its way
  state.busy = false;
  if (told) {
    if (!state.jobs.has(told.job.id)) state.jobs.set(told.job.id, told.job); // else an event was faster
    state.draft = told.job.id;
  }
  changed();
}

async function plan() {
  const sent = request();
  const about = JSON.stringify(sent);
  const told = await post("plan", sent);
  if (about !== JSON.stringify(request())) return;
  state.plan = told;
  changed();
}

async function paint() {
  const told = await post("jobs", request());
  if (!told) return;
  if (!state.jobs.has(told.job.id)) state.jobs.set(told.job.id, told.job);
  if (!active(state.jobs.get(state.paint))) state.paint = told.job.id;
  state.view = "paint";
  changed();
}

export async function stop(id) {
  const told = await post(`jobs/${id}/stop`);
  if (told) state.stopping.add(id);
  changed();
}

export function startControls() {
  const on = (id, event, name, read, options) => byId(id).addEventListener(event, (change) => {
    state.settings[name] = read(change.target);
    if (options?.draft !== false) showDraft();
    settle(options);
  });
  on("strength", "input", "strength", (slider) => Number(slider.value));
  on("stroke", "input", "stroke", (slider) => Number(slider.value));
  on("quality", "input", "quality", (slider) => QUALITIES[slider.value], { draft: false });
  on("image_size", "change", "image_size", (list) => Number(list.value), { draft: false });
  on("colors", "change", "colors", (tick) => (tick.checked ? "photograph" : "style"));
  on("seed", "change", "seed", (field) => Math.max(0, Math.floor(Number(field.value)) || 0));
  byId("paint").addEventListener("click", paint);
  byId("stop").addEventListener("click", () => stop(state.paint));
}

export function drawControls() {
  const { settings } = state;
  if (settings.strength === undefined) return; // the server has not answered yet
  byId("strength").value = settings.strength;
  byId("stroke").value = settings.stroke;
  byId("quality").value = QUALITIES.indexOf(settings.quality);
  byId("quality").setAttribute("aria-valuetext", text(settings.quality));
  byId("strength-value").textContent = number(settings.strength);
  byId("stroke-value").textContent = number(settings.stroke);
  byId("quality-value").textContent = text(settings.quality);
  byId("colors").checked = settings.colors === "photograph";
  if (document.activeElement !== byId("seed")) byId("seed").value = settings.seed;
  const sizes = byId("image_size");
  const wanted = [...new Set([...SIZES, settings.image_size])].sort((a, b) => a - b);
  if (sizes.options.length !== wanted.length) sizes.replaceChildren(...wanted.map((size) => make("option", { value: size }, `${size} px`)));
  sizes.value = settings.image_size;

  const { draft, plan: known } = state;
  if (known?.seconds === null && planned !== draft && state.jobs.get(draft)?.state === "done") { // now a rate is known
    planned = draft;
    plan();
  }
  byId("paint").disabled = !ready() || state.plan?.fits === false;
  byId("stop").disabled = !active(state.jobs.get(state.paint)) || state.stopping.has(state.paint);
  byId("plan").textContent = planText();
  byId("plan").classList.toggle("warning", state.plan?.fits === false);
}

function planText() {
  const { plan: known } = state;
  if (!known) return ready() ? "…" : "";
  const { width, height } = known;
  const [needed, limit] = [bytes(known.memory_bytes), known.limit_bytes === null ? null : bytes(known.limit_bytes)];
  if (!known.fits) return text("planTooLarge", { width, height, memory: needed, limit });
  const time = known.seconds === null ? text("planNoTime") : text("planTime", { time: duration(known.seconds) });
  return text("plan", { width, height, time, memory: limit ? text("planMemory", { memory: needed, limit }) : needed });
}
