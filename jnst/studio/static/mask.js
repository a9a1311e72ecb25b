// A mask painted on the photograph, for one painting: brush with size and hardness, eraser, undo; pointer or keys.

import { imagePreview, post } from "./api.js";
import { settle } from "./controls.js";
import { byId } from "./dom.js";
import { state } from "./store.js";
import { text } from "./texts.js";

const SIDE = 768; // the mask's longer side; the server brings it to the picture's size
const UNDO = 20;
const painted = new Map(); // a mask's id: its canvas, to go on with it

let [part, tool, last, history, cursor] = [null, "brush", null, [], { x: 0.5, y: 0.5 }];

const canvas = () => byId("mask-canvas");
const pen = () => canvas().getContext("2d", { willReadFrequently: true });

export function editMask(painting) {
  const image = state.images.get(state.photograph);
  if (!image) return;
  part = painting;
  const factor = SIDE / Math.max(image.width, image.height);
  canvas().width = Math.max(1, Math.round(image.width * factor));
  canvas().height = Math.max(1, Math.round(image.height * factor));
  byId("mask-photo").src = imagePreview(state.photograph, SIDE);
  [history, last, cursor] = [[], null, { x: canvas().width / 2, y: canvas().height / 2 }];
  const old = painted.get(part.mask);
  if (old) pen().drawImage(old, 0, 0, canvas().width, canvas().height);
  byId("mask-title").textContent = text("maskOf", { name: state.images.get(part.image)?.name ?? "" });
  byId("mask-remove").disabled = !part.mask;
  choose("brush");
  byId("mask").showModal();
  canvas().focus();
  moveCursor(cursor);
  tell();
}

function choose(name) {
  tool = name;
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === name);
}

const radius = () => Number(byId("brush-size").value) / 2;

function dab(x, y) {
  const draw = pen();
  const soft = draw.createRadialGradient(x, y, 0, x, y, radius());
  soft.addColorStop(0, "rgb(255 64 64)");
  soft.addColorStop(Math.min(0.99, Number(byId("brush-hardness").value) / 100), "rgb(255 64 64)");
  soft.addColorStop(1, "rgb(255 64 64 / 0)");
  draw.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
  draw.fillStyle = soft;
  draw.beginPath();
  draw.arc(x, y, radius(), 0, 2 * Math.PI);
  draw.fill();
  draw.globalCompositeOperation = "source-over";
}

function strokeTo(point) {
  const from = last ?? point;
  const far = Math.hypot(point.x - from.x, point.y - from.y);
  const steps = Math.max(1, Math.ceil(far / Math.max(1, radius() / 4)));
  for (let k = 1; k <= steps; k++) dab(from.x + ((point.x - from.x) * k) / steps, from.y + ((point.y - from.y) * k) / steps);
  last = point;
}

function keep() {
  history.push(pen().getImageData(0, 0, canvas().width, canvas().height));
  if (history.length > UNDO) history.shift();
  byId("mask-undo").disabled = false;
}

function covered() {
  const { data } = pen().getImageData(0, 0, canvas().width, canvas().height);
  let sum = 0;
  for (let k = 3; k < data.length; k += 4) sum += data[k];
  return sum / (data.length / 4) / 255;
}

function tell() {
  const share = covered();
  canvas().setAttribute("aria-label", text("maskCanvas", { p: Math.round(100 * share) }));
  byId("mask-undo").disabled = !history.length;
  byId("mask-save").disabled = share === 0; // a painting that is nowhere
}

function undo() {
  const before = history.pop();
  if (before) pen().putImageData(before, 0, 0);
  tell();
}

function fillWith(operation) {
  keep();
  const draw = pen();
  draw.globalCompositeOperation = operation; // "xor" inverts, "destination-out" clears
  draw.fillStyle = "rgb(255 64 64)";
  draw.fillRect(0, 0, canvas().width, canvas().height);
  draw.globalCompositeOperation = "source-over";
  tell();
}

function moveCursor(point) {
  cursor = { x: Math.min(canvas().width, Math.max(0, point.x)), y: Math.min(canvas().height, Math.max(0, point.y)) };
  const factor = canvas().clientWidth / canvas().width;
  const ring = byId("mask-cursor");
  ring.style.width = ring.style.height = `${2 * radius() * factor}px`;
  ring.style.left = `${canvas().offsetLeft + cursor.x * factor}px`;
  ring.style.top = `${canvas().offsetTop + cursor.y * factor}px`;
}

// White where painted, on black.
function exported() {
  const out = document.createElement("canvas");
  [out.width, out.height] = [canvas().width, canvas().height];
  const draw = out.getContext("2d");
  draw.drawImage(canvas(), 0, 0);
  draw.globalCompositeOperation = "source-in";
  draw.fillStyle = "white";
  draw.fillRect(0, 0, out.width, out.height);
  draw.globalCompositeOperation = "destination-over";
  draw.fillStyle = "black";
  draw.fillRect(0, 0, out.width, out.height);
  return new Promise((done) => { out.toBlob(done, "image/png"); });
}

async function save() {
  const told = await post(`masks?image=${state.photograph}`, await exported());
  if (!told) return;
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas().width, canvas().height];
  copy.getContext("2d").drawImage(canvas(), 0, 0);
  painted.set(told.id, copy);
  finish(told.id);
}

function finish(mask) {
  part.mask = mask;
  byId("mask").close();
  settle();
}

export function startMask() {
  const area = canvas();
  const at = (event) => {
    const box = area.getBoundingClientRect();
    return { x: ((event.clientX - box.left) * area.width) / box.width, y: ((event.clientY - box.top) * area.height) / box.height };
  };
  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    area.setPointerCapture(event.pointerId);
    keep();
    last = null;
    strokeTo(at(event));
  });
  area.addEventListener("pointermove", (event) => {
    moveCursor(at(event));
    if (area.hasPointerCapture(event.pointerId)) strokeTo(at(event));
  });
  area.addEventListener("pointerup", tell);
  area.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 4 : 24;
    const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key] ?? [0, 0];
    if (x || y) moveCursor({ x: cursor.x + x, y: cursor.y + y });
    else if (event.key === " ") {
      keep();
      dab(cursor.x, cursor.y);
      tell();
    } else return;
    event.preventDefault();
  });
  byId("mask").addEventListener("keydown", (event) => {
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    undo();
  });
  for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));
  byId("brush-size").addEventListener("input", () => moveCursor(cursor));
  byId("mask-undo").addEventListener("click", undo);
  byId("mask-invert").addEventListener("click", () => fillWith("xor"));
  byId("mask-clear").addEventListener("click", () => fillWith("destination-out"));
  byId("mask-remove").addEventListener("click", () => finish(null));
  byId("mask-cancel").addEventListener("click", () => byId("mask").close());
  byId("mask-save").addEventListener("click", save);
}
