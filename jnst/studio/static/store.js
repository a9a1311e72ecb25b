// What the page knows. Whoever changes it calls changed(); every part of the page then draws itself once.

export const state = {
  images: new Map(), jobs: new Map(), results: new Map(), machine: null, defaults: {},
  photograph: null, // an id
  paintings: [], // {image, weight, mask}
  settings: {},
  view: "draft", // or paint, result
  open: null, // the result that is compared
  draft: null, // the job of the newest draft
  sheet: null,
  paint: null, // the job that is looked at
  busy: false, // a draft is wanted that is not yet there
  plan: null,
  stopping: new Set(), // jobs that were told to stop and still finish their chunk
  hidden: new Set(), // failed jobs that were read
};

const watchers = [];
let waiting = false;

export function watch(draw) { watchers.push(draw); }

export function changed() {
  if (waiting) return;
  waiting = true;
  queueMicrotask(() => {
    waiting = false;
    for (const draw of watchers) draw();
  });
}

export const active = (job) => job?.state === "queued" || job?.state === "working";
export const ready = () => Boolean(state.photograph && state.paintings.length);
export const request = () => ({ photograph: state.photograph, paintings: state.paintings, settings: state.settings });

const KEY = "jnst-studio";

// The choice outlives a reload of the page; ids that are gone are dropped.
export function remember() {
  try {
    const { photograph, paintings, settings } = state;
    localStorage.setItem(KEY, JSON.stringify({ photograph, paintings, settings }));
  } catch { /* a private window forgets */ }
}

export function recall() {
  try {
    const old = JSON.parse(localStorage.getItem(KEY)) ?? {};
    if (state.images.has(old.photograph)) state.photograph = old.photograph;
    state.paintings = (old.paintings ?? []).filter((part) => state.images.has(part.image));
    for (const name of Object.keys(state.settings)) state.settings[name] = old.settings?.[name] ?? state.settings[name];
  } catch { /* nothing kept, or not by us */ }
}
