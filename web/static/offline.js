/**
 * Lets the page work without a network after the first visit, where the browser allows it.
 * @module
 */

/** The policy that the page's Trusted Types know: it makes one address, and no other. */
const POLICY = "service-worker";
const ADDRESS = "sw.js";

/**
 * Start the service worker, and have it keep what the page has fetched.
 * @returns {Promise<boolean>} Whether all of it is kept.
 */
export async function keepOffline() {
  // The page in one file needs none, and has none beside it.
  if (!document.querySelector("link[rel=manifest]")) return false;
  // Neither exists on plain http; Firefox has none in private windows.
  if (!globalThis.isSecureContext || !navigator.serviceWorker) return false;
  await navigator.serviceWorker.register(addressOf());
  const { active } = await navigator.serviceWorker.ready;
  const channel = new MessageChannel();
  const told = new Promise((done) => (channel.port1.onmessage = ({ data }) => done(data)));
  active?.postMessage(fetched(), [channel.port2]);
  return told;
}

/** @returns {string} */
function addressOf() {
  const types = /** @type {any} */ (globalThis).trustedTypes;
  return types ? types.createPolicy(POLICY, { createScriptURL: () => ADDRESS }).createScriptURL("") : ADDRESS;
}

/** This page's own files, the page itself first, and the pages that it leads to. */
function fetched() {
  const page = location.href.replace(/#.*/, "");
  const names = performance.getEntriesByType("resource").map(({ name }) => name.replace(/#.*/, ""));
  /** @type {string[]} */
  const pages = JSON.parse(document.querySelector("#kept")?.textContent ?? "[]");
  const more = pages.map((path) => new URL(path, document.baseURI).href);
  return [...new Set([page, ...names.filter((name) => name.startsWith(location.origin)), ...more])];
}
