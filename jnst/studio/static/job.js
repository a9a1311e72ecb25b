// The stage: the draft or the picture that grows, its progress over all scales, the loss curve, the queue.

import { jobPreview } from "./api.js";
import { stop } from "./controls.js";
import { byId, keyed, make } from "./dom.js";
import { active, changed, state } from "./store.js";
import { currentLanguage, duration, significant, text } from "./texts.js";

const KEPT = 8; // drafts that are over

let [shown, loading, spoken] = ["", false, ""];

export function startJobs() {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => {
      state.view = button.dataset.view;
      changed();
    });
  }
}

// The next preview takes the old one's place when it is decoded: nothing flickers, and a slow line skips some.
async function put(address, alt) {
  const live = byId("live");
  live.alt = alt;
  live.hidden = false;
  if (loading || address === shown) return;
  loading = true;
  const next = new Image();
  next.src = address;
  const fine = await next.decode().then(() => true, () => false);
  loading = false;
  if (fine && state.view !== "result") live.src = next.src;
  shown = address; // one that failed is not asked for again
  changed();
}

function followPaint() {
  const paints = [...state.jobs.values()].filter((job) => job.kind === "paint");
  const current = state.jobs.get(state.paint);
  if (current?.result && state.view === "paint" && state.results.has(current.result)) {
    [state.open, state.view] = [current.result, "result"];
  }
  const next = paints.find((job) => job.state === "working") ?? paints.find(active);
  if (!active(current) && next) {
    state.paint = next.id;
  }
}

// The page stays small over many drafts: the newest few are known, as on the server.
function forgetDrafts() {
  const old = [...state.jobs.values()].filter((job) => job.kind === "draft" && !active(job) && job.id !== state.draft);
  for (const job of old.slice(0, -KEPT)) state.jobs.delete(job.id);
}

export function drawJobs() {
  followPaint();
  forgetDrafts();
  const [draft, paint] = [state.jobs.get(state.draft), state.jobs.get(state.paint)];
  for (const button of document.querySelectorAll("[data-view]")) {
    const { view } = button.dataset;
    button.setAttribute("aria-pressed", view === state.view);
    button.disabled = (view === "result" && !state.open) || (view === "paint" && !paint);
  }
  const job = { draft, paint }[state.view];
  const busy = state.view === "draft" ? state.busy || active(draft) : active(job);
  byId("frame").setAttribute("aria-busy", busy);
  byId("working").hidden = !busy;
  const queued = !state.busy && job?.state === "queued";
  const phase = job?.phase && job.phase !== "painting" && !state.busy ? text(job.phase) : text("working");
  byId("working").querySelector("span").textContent = queued ? text("waiting") : phase;

  const picture = job && job.version !== null ? job : lastDrawn(state.view);
  if (state.view === "result" || !picture) byId("live").hidden = true;
  else put(jobPreview(picture), text(state.view === "draft" ? "altDraft" : "altPaint"));
  byId("empty").hidden = state.view === "result" || Boolean(picture) || busy;
  byId("empty").textContent = emptyText();
  drawProgress(state.view === "draft" && job?.state !== "failed" && !active(job) ? null : job);
  drawQueue();
}

// Until the new draft has a preview, the one before it stays.
function lastDrawn(view) {
  if (view !== "draft" || !state.photograph || !state.paintings.length) return null;
  return [...state.jobs.values()].filter((job) => job.kind === "draft" && job.version !== null
    && job.request?.photograph === state.photograph).at(-1);
}

function emptyText() {
  if (state.view === "paint") return text("emptyPaint");
  if (state.photograph) return state.paintings.length ? "" : text("emptyPainting");
  return text(state.paintings.length ? "emptyPhotograph" : "emptyBoth");
}

function said(job) {
  if (job.state === "failed") return text("failed", { error: job.error });
  if (job.state !== "working") return text(job.state);
  if (state.stopping.has(job.id)) return text("stopping");
  if (job.phase && job.phase !== "painting") return text(job.phase);
  const parts = [];
  if (job.scales > 1) parts.push(text("scaleOf", { k: job.scale, n: job.scales }));
  if (job.iterations) parts.push(text("iterationOf", { k: job.iteration, n: job.iterations }));
  if (job.seconds_left !== null) parts.push(text("left", { time: duration(job.seconds_left) }));
  return parts.join(" · ");
}

function drawProgress(job) {
  byId("progress").hidden = !job;
  if (!job) return;
  byId("progress-text").textContent = said(job);
  const bar = byId("bar");
  bar.setAttribute("aria-valuenow", Math.round(100 * job.progress));
  bar.setAttribute("aria-valuetext", said(job));
  bar.firstElementChild.style.width = `${100 * job.progress}%`;
  keyed(byId("pips"), Array.from({ length: job.scales > 1 ? job.scales : 0 }, (_, k) => k + 1), String, () => make("i"),
    (pip, k) => { pip.className = k < job.scale || job.state === "done" ? "full" : k === job.scale ? "now" : ""; });
  drawCurve(job);
  // read aloud at each tenth, not at each event
  const tenth = `${job.id} ${job.state} ${Math.floor(10 * job.progress)}`;
  if (job.kind !== "paint" || tenth === spoken) return;
  spoken = tenth;
  byId("spoken").textContent = job.state === "working" ? text("percentDone", { p: 10 * Math.floor(10 * job.progress) }) : said(job);
}

function drawCurve(job) {
  const heights = job.losses.map(([, loss]) => Math.log10(Math.max(loss, 1e-30)));
  byId("curve").toggleAttribute("hidden", job.kind !== "paint" || heights.length < 2);
  if (heights.length < 2) return;
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const width = 600 * Math.max(job.progress, 0.02);
  const points = heights.map((height, k) =>
    `${((k / (heights.length - 1)) * width).toFixed(1)},${(4 + 72 * (high - height) / (high - low || 1)).toFixed(1)}`);
  byId("line").setAttribute("d", `M${points.join("L")}`);
  byId("area").setAttribute("d", `M0,80L${points.join("L")}L${width.toFixed(1)},80Z`);
  byId("curve").setAttribute("aria-label", text("curve", { loss: significant(job.loss ?? job.losses.at(-1)[1]) }));
}

export function jobName({ request }) {
  const name = (id) => state.images.get(id)?.name.replace(/\.\w+$/, "") ?? "?";
  return [request?.photograph, ...(request?.paintings ?? []).map((part) => part.image)].map(name).join(" · ");
}

function drawQueue() {
  const jobs = [...state.jobs.values()].filter((job) => job.kind === "paint" && !state.hidden.has(job.id)
    && (active(job) || job.state === "failed"));
  byId("queue-box").hidden = !jobs.length;
  keyed(byId("queue"), jobs, (job) => job.id + currentLanguage(), (job) => {
    const act = () => {
      const now = state.jobs.get(job.id);
      if (active(now)) stop(job.id);
      else state.hidden.add(job.id);
      changed();
    };
    return make("li", {}, make("span", { class: "name grow" }, jobName(job)), make("span", { class: "quiet" }),
      make("button", { type: "button", class: "plain", click: act }));
  }, (item, job) => {
    const [, told, button] = item.children;
    const key = { queued: "drop", working: "stop", failed: "hide" }[job.state];
    told.textContent = job.state === "working" ? `${Math.round(100 * job.progress)} %` : said(job);
    button.textContent = text(key);
    button.setAttribute("aria-label", `${text(key)} ${jobName(job)}`);
    button.disabled = state.stopping.has(job.id);
  });
}
