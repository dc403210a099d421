/**
 * In the single file, which has no server and may be read from a disk: whatever would be fetched is
 * answered from what the page itself holds, and nothing else is ever asked for.
 * @module
 */

/** @type {Record<string, string>} Contents in base64 by path. */
const files = JSON.parse(document.querySelector("#files")?.textContent ?? "");
const base = new URL(".", document.baseURI).href;

/** @param {RequestInfo | URL} request */
globalThis.fetch = async (request) => {
  const { origin, pathname, protocol } = new URL(request instanceof Request ? request.url : request, document.baseURI);
  const place = protocol === "file:" ? `file://${pathname}` : origin + pathname;
  const held = files[decodeURIComponent(place.slice(base.length))];
  if (!place.startsWith(base) || held === undefined) return new Response(null, { status: 404 });
  return new Response(Uint8Array.from(atob(held), (letter) => letter.charCodeAt(0)));
};
