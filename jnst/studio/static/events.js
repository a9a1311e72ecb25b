// Server-sent events. The browser reconnects by itself, with Last-Event-ID; only a refused connection is opened anew.

import { message } from "./dom.js";
import { changed, state } from "./store.js";
import { text } from "./texts.js";

export function listen(reload) {
  let [lost, first] = [null, true];
  const source = new EventSource("/api/events");
  const on = (name, take) => source.addEventListener(name, (event) => {
    take(event.data ? JSON.parse(event.data) : null);
    changed();
  });
  const keep = (known) => (item) => {
    state[known].set(item.id, item);
    state.heard.add(item.id);
  };
  on("job", keep("jobs"));
  on("result", keep("results"));
  on("removed", ({ id }) => {
    for (const known of [state.images, state.jobs, state.results]) known.delete(id);
    if (state.photograph === id) state.photograph = null;
    state.paintings = state.paintings.filter((part) => part.image !== id);
    if (state.open === id) [state.open, state.view] = [null, "draft"];
  });
  on("reset", reload);
  source.onopen = () => {
    lost?.remove();
    lost = null;
    if (first) reload(); // only now: nothing that happens from here on is missed
    first = false;
  };
  source.onerror = () => {
    lost ??= message(text("offline"), { error: true });
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => {
      lost?.remove();
      listen(reload);
    }, 2000);
  };
}
