/**
 * What other pages import: `load` a bundle, `predict`, see in `info` what was chosen and why.
 *
 *     const model = await load("/models/mlp-128-64/manifest.json");
 *     const probabilities = await model.predict(pixels);   // Float32Array of 784 numbers
 * @module
 */

import { readerFrom, readVerified, fetchBytes } from "./fetch.js";
import { BadBundle, SelfTestFailed, messageOf } from "./errors.js";
import { listCandidates } from "./candidates.js";
import { parseGolden } from "./golden.js";
import { fileAt, parseManifest } from "./manifest.js";
import { Model } from "./model.js";
import { RUNTIMES } from "./runtimes/index.js";
import { selfTest } from "./selftest.js";

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
 * @typedef {object} Attempt One candidate that was tried.
 * @property {string} runtime
 * @property {string} backend
 * @property {string} format
 * @property {string} precision
 * @property {boolean} chosen
 * @property {string} reason Why, or why not.
 *
 * @typedef {object} Info
 * @property {string} name The bundle's.
 * @property {string} runtime
 * @property {string} backend
 * @property {string} format
 * @property {string} precision
 * @property {string} ranOn As the runtime says it.
 * @property {number} sizeBytes Of the artefact's files.
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
 * Load the first candidate that gives the stored answers on this machine.
 * @param {string | URL} manifestUrl
 * @param {Options} [options]
 * @returns {Promise<Model>}
 * @throws {BadBundle} The manifest or the golden vectors are not what they say they are.
 * @throws {BadInput} The bundle has nothing of what was asked for.
 * @throws {SelfTestFailed} No candidate is right; the message says of each why.
 * @throws {DOMException} Its `signal` was aborted.
 */
export async function load(manifestUrl, options = {}) {
  const base = new URL(manifestUrl, globalThis.location?.href);
  const read = options.read ?? readerFrom(base, options);
  const readAsset = options.readAsset ?? readerFrom(import.meta.url, options);
  const manifest = parseManifest(decode(await (options.read ? read(MANIFEST_NAME) : fetchBytes(base, options))));
  const candidates = listCandidates(manifest.artifacts, options);
  const golden = parseGolden(decode(await readVerified(read, fileAt(manifest, GOLDEN_NAME))));
  checkGolden(golden, manifest);
  /** @type {Attempt[]} */
  const attempts = [];
  for (const candidate of candidates) {
    options.signal?.throwIfAborted();
    const model = await attempt({ manifest, read, readAsset }, golden, candidate, attempts);
    if (model) return model;
  }
  options.signal?.throwIfAborted();
  const reasons = attempts.map((one) => `${one.runtime} ${one.backend} ${one.format}/${one.precision}: ${one.reason}`);
  throw new SelfTestFailed(`${manifest.name}: no candidate works here: ${reasons.join("; ")}`);
}

/**
 * @param {import("./runtimes/index.js").Bundle} bundle
 * @param {Golden} golden
 * @param {Candidate} candidate
 * @param {Attempt[]} attempts Grows by one.
 * @returns {Promise<Model | null>}
 */
async function attempt(bundle, golden, { runtime, backend, artifact }, attempts) {
  const { format, precision } = artifact;
  const record = (/** @type {boolean} */ chosen, /** @type {string} */ reason) =>
    void attempts.push({ runtime, backend, format, precision, chosen, reason });
  let session;
  try {
    const module = await RUNTIMES[runtime].load();
    session = await module.open(bundle, artifact, backend);
    const result = await selfTest(session, golden, bundle.manifest, precision);
    record(result.passed, result.reason || `first that gives the stored answers (${result.rows} rows)`);
    if (result.passed) return new Model(session, bundle.manifest, describe(bundle.manifest, attempts, session, artifact, result));
  } catch (error) {
    record(false, messageOf(error));
  }
  await session?.close();
  return null;
}

/**
 * @param {Manifest} manifest
 * @param {readonly Attempt[]} attempts
 * @param {import("./runtimes/index.js").Session} session
 * @param {import("./manifest.js").Artifact} artifact
 * @param {import("./selftest.js").SelfTest} result
 * @returns {Readonly<Info>}
 */
function describe(manifest, attempts, session, artifact, result) {
  const { name, inputs, outputs, labels, preprocessing } = manifest;
  const { runtime, backend, format, precision } = attempts[attempts.length - 1];
  const sizeBytes = artifact.files.reduce((sum, file) => sum + file.size_bytes, 0);
  return Object.freeze({
    name, runtime, backend, format, precision, ranOn: session.ranOn, sizeBytes,
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
