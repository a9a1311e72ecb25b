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

async function begin() {
  const told = await get("state", { quiet: started });
  if (!told) {
    setTimeout(begin, 3000);
    return;
  }
  const map = (items) => new Map(items.map((item) => [item.id, item]));
  state.images = map([...told.images, ...told.examples]);
  state.jobs = map(told.jobs);
  state.results = map(told.results);
  state.machine = told.machine;
  if (!started) {
    state.defaults = told.settings;
    state.settings = { ...told.settings };
    recall();
    if (ready()) settle();
  }
  started = true;
  changed();
  listen(told.event, begin);
}

function translate() {
  translatePage();
  byId("language").textContent = text("otherLanguage");
}

for (const start of [startImages, startControls, startJobs, startCompare, startMask, startGallery]) start();
for (const draw of [drawImages, drawControls, drawJobs, drawCompare, drawGallery]) watch(draw);
watch(() => { byId("device").textContent = state.machine ? text("device", state.machine) : ""; });
byId("language").addEventListener("click", () => {
  switchLanguage();
  translate();
  changed();
});
translate();
changed();
begin();
