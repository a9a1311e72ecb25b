// Server-sent events. The browser reconnects by itself, with Last-Event-ID; `again` starts anew where that is not enough.

import { message } from "./dom.js";
import { changed, state } from "./store.js";
import { text } from "./texts.js";

let current = null;

// A page that is left may be kept by the browser, with its connection; six such, and the next page waits for a minute.
addEventListener("pagehide", () => current?.source.close());
addEventListener("pageshow", (event) => { if (event.persisted) current?.renew(); });

export function listen(after, again) {
  let lost = null;
  const source = new EventSource(`/api/events?after=${after}`);
  const on = (name, take) => source.addEventListener(name, (event) => {
    take(event.data ? JSON.parse(event.data) : null);
    changed();
  });
  const renew = () => {
    source.close();
    lost?.remove();
    again();
  };
  on("job", (job) => state.jobs.set(job.id, job));
  on("result", (result) => state.results.set(result.id, result));
  on("removed", ({ id }) => forget(id));
  on("reset", renew); // too much was missed
  current = { source, renew };
  source.onopen = () => {
    lost?.remove();
    lost = null;
  };
  source.onerror = () => {
    lost ??= message(text("offline"), { error: true });
    if (source.readyState === EventSource.CLOSED) setTimeout(renew, 2000);
  };
}

export function forget(id) {
  for (const known of [state.images, state.jobs, state.results]) known.delete(id);
  if (state.photograph === id) state.photograph = null;
  state.paintings = state.paintings.filter((part) => part.image !== id);
  if (state.open === id) [state.open, state.view] = [null, "draft"];
}
