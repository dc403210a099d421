/**
 * Reading what was published, and believing none of it until size and sha256 are right. Owns the
 * seam between the player and the place where files come from: a `Reader`. Imports errors.js and
 * sha256.js.
 * @module
 */

import { BadBundle, messageOf } from "./errors.js";
import { sha256 } from "./sha256.js";

/**
 * Gives the bytes of a path relative to the manifest.
 * @typedef {(path: string) => Promise<Uint8Array<ArrayBuffer>>} Reader
 */

/**
 * A reader of everything below the manifest's address.
 * @param {string | URL} manifestUrl
 * @returns {Reader}
 */
export function readerFrom(manifestUrl) {
  const base = new URL(manifestUrl, globalThis.location?.href);
  return (path) => fetchBytes(new URL(path, base));
}

/**
 * @param {URL} url
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {BadBundle} Not there, or the network failed.
 */
export async function fetchBytes(url) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin" });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new BadBundle(`${url.href}: cannot be fetched: ${messageOf(error)}`, { cause: error });
  }
  throw new BadBundle(`${url.href}: status 200 expected, ${response.status} found`);
}

/**
 * The bytes of a file of known size and sha256.
 * @param {Reader} read
 * @param {{path: string, size_bytes: number, sha256: string}} file
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {BadBundle} It holds something else.
 */
export async function readVerified(read, file) {
  const bytes = await read(file.path);
  if (bytes.length !== file.size_bytes) {
    throw new BadBundle(`${file.path}: ${file.size_bytes} bytes expected, ${bytes.length} found`);
  }
  const digest = await sha256(bytes);
  if (digest !== file.sha256) {
    throw new BadBundle(`${file.path}: sha256 ${file.sha256} expected, ${digest} found`);
  }
  return bytes;
}
