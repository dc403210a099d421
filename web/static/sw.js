/**
 * The service worker: what was seen once works without a network. Asks the network first, always,
 * because a model that is published anew keeps its address; what is kept answers when nobody else does.
 */

const KEPT = "kept-1";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(start()));
addEventListener("message", (event) => event.waitUntil(keep(event)));
addEventListener("fetch", (event) => {
  const { method, url, headers } = event.request;
  // A part of a file is no file to keep.
  if (method !== "GET" || new URL(url).origin !== location.origin || headers.has("Range")) return;
  event.respondWith(answer(event.request));
});

async function start() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== KEPT).map((name) => caches.delete(name)));
  await clients.claim();
}

/** What the page fetched before this worker was there; tells the page when all is kept. */
async function keep({ data: addresses, ports: [port] }) {
  const kept = await caches.open(KEPT);
  const results = await Promise.allSettled(addresses.map((address) => kept.add(address)));
  port?.postMessage(results.every(({ status }) => status === "fulfilled"));
}

/** A page is never taken from the browser's own cache: it names the files of one release. */
function ask(request) {
  if (request.mode !== "navigate") return fetch(request);
  return fetch(request.url, { cache: "no-cache", credentials: "same-origin", redirect: "manual" });
}

async function answer(request) {
  const kept = await caches.open(KEPT);
  try {
    const response = await ask(request);
    if (response.status === 200) await kept.put(request, response.clone());
    return response;
  } catch (error) {
    const found = await kept.match(request, { ignoreSearch: request.mode === "navigate" });
    if (found) return found;
    throw error;
  }
}
