// The server's answers. An error is shown as the one line that the server sends; the caller gets null.

import { message } from "./dom.js";
import { text } from "./texts.js";

export async function call(method, path, body, headers = {}) {
  const plain = body !== undefined && !(body instanceof Blob);
  if (plain) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method, headers: { "X-Jnst": "1", ...headers }, body: plain ? JSON.stringify(body) : body, credentials: "same-origin",
    });
  } catch {
    message(text("offline"), { error: true });
    return null;
  }
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  message(answer.status === 401 ? text("unauthorised") : told.error ?? `${answer.status} ${answer.statusText}`, { error: true });
  return null;
}

export const get = (path) => call("GET", path);
export const post = (path, body, headers) => call("POST", path, body, headers);
export const remove = (path) => call("DELETE", path);

export const imagePreview = (id, size) => `/api/images/${id}/preview?size=${size}`;
export const jobPreview = (job) => `/api/jobs/${job.id}/preview?version=${job.version}`;
export const sheetPreview = (job, entry) => `/api/jobs/${job.id}/preview/${entry.painting}?version=${entry.version}`;
export const resultImage = (id, which, size) => `/api/results/${id}/${which}?size=${size}`;
export const resultFile = (id, format, profile) => `/api/results/${id}/file?format=${format}&profile=${profile}`;
