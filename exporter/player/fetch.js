/**
 * Reading what was published, and believing none of it until size and sha256 are right. Owns the
 * seam between the player and the place where files come from: a `Reader`. Imports errors.js and
 * sha256.js.
 * @module
 */

import { BadBundle, messageOf } from "./errors.js";
import { sha256 } from "./sha256.js";

/**
 * Gives the bytes of a path relative to the manifest; its size is told where it is known. What is
 * asked for `fresh` comes past every cache.
 * @typedef {(path: string, sizeBytes?: number, fresh?: boolean) => Promise<Uint8Array<ArrayBuffer>>} Reader
 *
 * @typedef {object} Progress
 * @property {string} path The file, relative to the manifest.
 * @property {number} loadedBytes
 * @property {number | null} totalBytes null where it is not known before it is there.
 *
 * @typedef {object} Watch
 * @property {AbortSignal} [signal] Ends what is being fetched.
 * @property {(progress: Progress) => void} [onProgress]
 */

/**
 * A reader of everything below an address, and of what is there itself: the path "". What follows
 * a `?` there follows every file's address: a version makes all of them new at once, whatever caches
 * hold, and a signature opens all of them.
 * @param {string | URL} baseUrl The manifest's, or the player's own.
 * @param {Watch} [watch]
 * @returns {Reader}
 */
export function readerFrom(baseUrl, watch = {}) {
  const base = new URL(baseUrl, globalThis.location?.href);
  return (path, sizeBytes, fresh) =>
    fetchBytes(Object.assign(new URL(path, base), { search: base.search }), {
      signal: watch.signal,
      fresh,
      onBytes: (loadedBytes) => path && watch.onProgress?.({ path, loadedBytes, totalBytes: sizeBytes ?? null }),
    });
}

/**
 * @param {URL} url
 * @param {{signal?: AbortSignal, fresh?: boolean, onBytes?: (loadedBytes: number) => void}} [watch]
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {BadBundle} Not there, or the network failed.
 */
export async function fetchBytes(url, { signal, fresh = false, onBytes = () => {} } = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: fresh ? "reload" : "default", signal });
    if (response.ok) return await collect(response, onBytes);
  } catch (error) {
    signal?.throwIfAborted();
    throw new BadBundle(`${url.href}: cannot be fetched: ${messageOf(error)}`, { cause: error });
  }
  throw new BadBundle(`${url.href}: status 200 expected, ${response.status} found`);
}

/**
 * @param {Response} response
 * @param {(loadedBytes: number) => void} onBytes
 */
async function collect(response, onBytes) {
  const chunks = [];
  let loadedBytes = 0;
  if (response.body) {
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      const chunk = /** @type {Uint8Array<ArrayBuffer>} */ (value);
      chunks.push(chunk);
      onBytes((loadedBytes += chunk.length));
    }
  }
  const bytes = new Uint8Array(loadedBytes);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** A file that is not the one that was announced: damaged, missing, or of another release. */
export class WrongFile extends BadBundle {
  /**
   * @param {string} message
   * @param {Reader} read Who gave it.
   * @param {{cause?: unknown}} [options]
   */
  constructor(message, read, options) {
    super(message, options);
    this.read = read;
  }
}

/**
 * The bytes of a file of known size and sha256.
 * @param {Reader} read
 * @param {{path: string, size_bytes: number, sha256: string}} file
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {WrongFile} It holds something else.
 */
export async function readVerified(read, file) {
  const bytes = await read(file.path, file.size_bytes);
  if (bytes.length !== file.size_bytes) {
    throw new WrongFile(`${file.path}: ${file.size_bytes} bytes expected, ${bytes.length} found`, read);
  }
  const digest = await sha256(bytes);
  if (digest !== file.sha256) {
    throw new WrongFile(`${file.path}: sha256 ${file.sha256} expected, ${digest} found`, read);
  }
  return bytes;
}
