// The server's answers. An error is shown as the one line that the server sends; the caller gets null.

import { message } from "./dom.js";
import { text } from "./texts.js";

async function call(method, path, body, { headers = {}, quiet = false, read = (answer) => answer.json() } = {}) {
  const plain = body !== undefined && !(body instanceof Blob);
  if (plain) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method, headers: { "X-Jnst": "1", ...headers }, body: plain ? JSON.stringify(body) : body, credentials: "same-origin",
    });
  } catch {
    if (!quiet) message(text("offline"), { error: true });
    return null;
  }
  if (answer.ok) return read(answer);
  const told = await answer.json().catch(() => ({}));
  message(answer.status === 401 ? text("unauthorised") : told.error ?? `${answer.status} ${answer.statusText}`, { error: true });
  return null;
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, headers) => call("POST", path, body, { headers });
export const remove = (path) => call("DELETE", path);

// A result as a file. Fetched first, because a link would keep an error as a file.
export async function download(id, format, profile) {
  const named = async (answer) => ({
    blob: await answer.blob(),
    name: decodeURIComponent(/filename\*=UTF-8''([^;]+)/i.exec(answer.headers.get("Content-Disposition"))?.[1] ?? "result"),
  });
  const file = await get(`results/${id}/file?format=${format}&profile=${profile}`, { read: named });
  if (!file) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file.blob);
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

export const imagePreview = (id, size) => `/api/images/${id}/preview?size=${size}`;
export const jobPreview = (job) => `/api/jobs/${job.id}/preview?version=${job.version}`;
export const sheetPreview = (job, entry) => `/api/jobs/${job.id}/preview/${entry.painting}?version=${entry.version}`;
export const resultImage = (id, which, size) => `/api/results/${id}/${which}?size=${size}`;
