/**
 * What other pages import: `load` a bundle, `predict`, see in `info` what was chosen and why.
 *
 *     const model = await load("/models/mlp-128-64/manifest.json");
 *     const probabilities = await model.predict(pixels);   // Float32Array of 784 numbers
 * @module
 */

import { readVerified, readerFrom } from "./fetch.js";
import { BadBundle, SelfTestFailed } from "./errors.js";
import { listCandidates } from "./candidates.js";
import { parseGolden } from "./golden.js";
import { fileAt } from "./manifest.js";
import { Model } from "./model.js";
import { inOneRelease } from "./release.js";
import { choose } from "./trials.js";

export {
  BadBundle, BadInput, PlayerError, RuntimeFailed, SelfTestFailed, UnsupportedModel,
} from "./errors.js";
export { Model } from "./model.js";

/**
 * @typedef {import("./candidates.js").Candidate} Candidate
 * @typedef {import("./fetch.js").Reader} Reader
 * @typedef {import("./golden.js").Golden} Golden
 * @typedef {import("./manifest.js").Manifest} Manifest
 *
 * @typedef {import("./trials.js").Attempt} Attempt
 *
 * @typedef {object} Info
 * @property {string} name The bundle's.
 * @property {string} runtime
 * @property {string} backend
 * @property {string} format
 * @property {string} precision
 * @property {string} ranOn As the runtime says it.
 * @property {number} sizeBytes Of the artefact's files.
 * @property {number} latencyMs Median of one sample's predictions on this device, at loading.
 * @property {import("./selftest.js").SelfTest} selfTest
 * @property {readonly Attempt[]} attempts In the order in which they were tried.
 * @property {readonly import("./manifest.js").TensorSpec[]} inputs
 * @property {readonly import("./manifest.js").TensorSpec[]} outputs
 * @property {readonly string[] | null} labels
 * @property {Readonly<Record<string, unknown>> | null} preprocessing
 *
 * @typedef {import("./candidates.js").Choice & import("./fetch.js").Watch &
 *   {read?: Reader, readAsset?: Reader}} Options
 *   `signal` ends the loading, `onProgress` is told of every file; `read` and `readAsset`: where
 *   the bundle's and the player's files come from, if not by fetch.
 */

const GOLDEN_NAME = "golden.json";
const MANIFEST_NAME = "manifest.json";

/**
 * Load the first candidate that gives the stored answers on this machine, or a faster one that
 * costs no further fetching; `info.attempts` says what was tried, and why one was chosen. Where a
 * file is not the manifest's, all is read once more, past every cache: the bundle may have been
 * published anew meanwhile.
 * @param {string | URL} manifestUrl
 * @param {Options} [options]
 * @returns {Promise<Model>}
 * @throws {BadBundle} The manifest or the golden vectors are not what they say they are.
 * @throws {BadInput} The bundle has nothing of what was asked for.
 * @throws {SelfTestFailed} No candidate is right; the message says of each why.
 * @throws {DOMException} Its `signal` was aborted.
 */
export async function load(manifestUrl, options = {}) {
  const { read, readAsset = readerFrom(import.meta.url, options) } = options;
  const place = read ? onlyNamed(read) : readerFrom(manifestUrl, options);
  return inOneRelease(place, options.signal, (release) => loadFrom(release, readAsset, options));
}

/** @type {(read: Reader) => Reader} */
function onlyNamed(read) {
  return (path, ...rest) => read(path || MANIFEST_NAME, ...rest);
}

/**
 * @param {import("./release.js").Release} release
 * @param {Reader} readAsset
 * @param {Options} options
 * @returns {Promise<Model>}
 */
async function loadFrom({ readManifest, read, isMixed }, readAsset, options) {
  // The golden vectors have the same name in every bundle: they come along with the manifest.
  const early = read(GOLDEN_NAME);
  early.catch(() => {});
  const manifest = await readManifest();
  const candidates = listCandidates(manifest.artifacts, options);
  // The first one's files are wanted in any case, so nobody waits for one to fetch the next.
  for (const { path, size_bytes: size } of candidates[0].artifact.files) read(path, size).catch(() => {});
  const golden = parseGolden(decode(await readVerified(read, fileAt(manifest, GOLDEN_NAME))));
  checkGolden(golden, manifest);
  const bundle = { manifest, read, readAsset, isMixed };
  const { best, attempts } = await choose(bundle, golden, candidates, options.signal);
  if (best) return new Model(best.session, manifest, describe(manifest, attempts, best));
  const reasons = attempts.map((one) => `${one.runtime} ${one.backend} ${one.format}/${one.precision}: ${one.reason}`);
  throw new SelfTestFailed(`${manifest.name}: no candidate works here: ${reasons.join("; ")}`);
}

/**
 * @param {Manifest} manifest
 * @param {readonly Attempt[]} attempts
 * @param {import("./trials.js").Trial} best
 * @returns {Readonly<Info>}
 */
function describe(manifest, attempts, { candidate: { runtime, backend, artifact }, session, result, latencyMs }) {
  const { name, inputs, outputs, labels, preprocessing } = manifest;
  const { format, precision } = artifact;
  const sizeBytes = artifact.files.reduce((sum, file) => sum + file.size_bytes, 0);
  return Object.freeze({
    name, runtime, backend, format, precision, ranOn: session.ranOn, sizeBytes, latencyMs,
    selfTest: Object.freeze(result), attempts: Object.freeze([...attempts]),
    inputs, outputs, labels, preprocessing,
  });
}

/**
 * Golden vectors of another model would prove nothing.
 * @param {Golden} golden
 * @param {Manifest} manifest
 */
function checkGolden(golden, manifest) {
  const names = (/** @type {readonly {name: string}[]} */ specs) => specs.map((spec) => spec.name).join(", ");
  for (const what of /** @type {const} */ (["inputs", "outputs"])) {
    if (names(golden[what]) !== names(manifest[what])) {
      throw new BadBundle(`${GOLDEN_NAME}: ${what} ${names(manifest[what])} expected, ${names(golden[what])} found`);
    }
  }
}

/** @param {Uint8Array} bytes */
function decode(bytes) {
  return new TextDecoder().decode(bytes);
}
