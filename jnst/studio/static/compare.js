// Before and after: a divided picture, fitted or at 100 %. Dragged with the pointer or moved by the slider's keys.

import { resultImage } from "./api.js";
import { byId, show } from "./dom.js";
import { downloadMenu } from "./gallery.js";
import { changed, state } from "./store.js";
import { currentLanguage, text } from "./texts.js";

let [split, zoom, drawn] = [50, "fit", ""];

export function startCompare() {
  const [frame, box, slider] = [byId("frame"), byId("compare"), byId("split")];
  slider.addEventListener("input", () => divide(Number(slider.value)));
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      zoom = button.dataset.zoom;
      changed();
    });
  }
  let held = null;
  box.addEventListener("pointerdown", (event) => {
    const handle = event.target === byId("handle");
    if (event.button !== 0 || (zoom === "full" && !handle && event.pointerType === "touch")) return; // a finger scrolls
    held = zoom === "full" && !handle ? { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop } : "handle";
    box.setPointerCapture(event.pointerId);
    event.preventDefault();
    follow(event);
  });
  const follow = (event) => {
    if (!held) return;
    if (held === "handle") {
      const { left, width } = box.getBoundingClientRect();
      divide(Math.min(100, Math.max(0, (100 * (event.clientX - left)) / width)));
    } else frame.scrollTo(held.x - event.clientX, held.y - event.clientY);
  };
  box.addEventListener("pointermove", follow);
  for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, () => { held = null; });
  new ResizeObserver(place).observe(frame);
}

function divide(percent) {
  split = percent;
  byId("split").value = percent;
  byId("split").setAttribute("aria-valuetext", `${Math.round(percent)} %`);
  byId("before").style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
  byId("handle").style.left = `${percent}%`;
}

// The box is as large as the picture in it, so that percents of the one are percents of the other.
function place() {
  const result = state.results.get(state.open);
  if (!result || state.view !== "result") return;
  const [frame, box] = [byId("frame"), byId("compare")];
  const fitted = Math.min(frame.clientWidth / result.width, frame.clientHeight / result.height);
  const factor = zoom === "full" ? 1 / devicePixelRatio : fitted;
  box.style.width = `${Math.floor(result.width * factor)}px`;
  box.style.height = `${Math.floor(result.height * factor)}px`;
}

export function drawCompare() {
  const result = state.view === "result" ? state.results.get(state.open) : null;
  const frame = byId("frame");
  byId("compare").hidden = byId("compare-bar").hidden = !result;
  frame.classList.toggle("zoomed", Boolean(result) && zoom === "full");
  if (result && zoom === "full") frame.tabIndex = 0; // so that the arrow keys scroll it
  else frame.removeAttribute("tabindex");
  if (!result) return;
  const size = zoom === "full" ? 4096 : 1536;
  show(byId("after"), resultImage(result.id, "preview", size), text("altResult"));
  show(byId("before"), resultImage(result.id, "before", size), text("altBefore"));
  for (const button of document.querySelectorAll("[data-zoom]")) button.setAttribute("aria-pressed", button.dataset.zoom === zoom);
  if (drawn !== result.id + currentLanguage()) {
    drawn = result.id + currentLanguage();
    byId("open-download").replaceChildren(downloadMenu(result));
  }
  place();
  divide(split);
}
