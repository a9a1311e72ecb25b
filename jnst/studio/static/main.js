// The page of jnst studio: starts its parts, asks for the state, listens, and draws when something has changed.

import { get } from "./api.js";
import { drawCompare, startCompare } from "./compare.js";
import { drawControls, settle, startControls } from "./controls.js";
import { byId } from "./dom.js";
import { listen } from "./events.js";
import { drawGallery, startGallery } from "./gallery.js";
import { drawImages, startImages } from "./images.js";
import { drawJobs, startJobs } from "./job.js";
import { startMask } from "./mask.js";
import { changed, ready, recall, state, watch } from "./store.js";
import { switchLanguage, text, translatePage } from "./texts.js";

let started = false;

async function reload() {
  state.heard.clear();
  const told = await get("state");
  if (!told) return;
  const map = (items, known) => { // what events told meanwhile is newer
    const heard = [...known].filter(([id]) => state.heard.has(id));
    return new Map([...items.map((item) => [item.id, item]), ...heard]);
  };
  state.images = map([...told.images, ...told.examples], state.images);
  state.jobs = new Map([...state.jobs, ...map(told.jobs, state.jobs)]);
  state.results = map(told.results, state.results);
  state.machine = told.machine;
  if (!started) {
    state.defaults = told.settings;
    state.settings = { ...told.settings };
    recall();
    if (ready()) settle();
  }
  started = true;
  changed();
}

function translate() {
  translatePage();
  byId("language").textContent = text("otherLanguage");
}

for (const start of [startImages, startControls, startJobs, startCompare, startMask, startGallery]) start();
for (const draw of [drawImages, drawControls, drawJobs, drawCompare, drawGallery]) watch(draw);
watch(() => { byId("device").textContent = state.machine?.device ?? ""; });
byId("language").addEventListener("click", () => {
  switchLanguage();
  translate();
  changed();
});
translate();
changed();
listen(reload);
