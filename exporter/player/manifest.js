/**
 * `manifest.json`, hostile until checked: parsed here, and nowhere else. Owns the types of what a
 * bundle says about itself. Imports errors.js only.
 * @module
 */

import { BadBundle } from "./errors.js";

/**
 * @typedef {object} TensorSpec
 * @property {string} name The Keras model's own name.
 * @property {readonly (number | null)[]} shape Batch first; null is a free dimension.
 * @property {string} dtype NumPy's name.
 * @property {readonly [number, number]} [range] Inputs: the smallest and the largest value.
 * @property {string} [layout]
 * @property {string} [polarity]
 * @property {string} [meaning] Outputs: "probabilities" or "values".
 *
 * @typedef {object} BundleFile
 * @property {string} path POSIX, relative to the manifest.
 * @property {number} size_bytes
 * @property {string} sha256
 *
 * @typedef {object} Artifact
 * @property {string} format
 * @property {string} precision
 * @property {string} path The file that a runtime opens.
 * @property {readonly BundleFile[]} files
 *
 * @typedef {object} Manifest
 * @property {string} name
 * @property {readonly TensorSpec[]} inputs
 * @property {readonly TensorSpec[]} outputs
 * @property {readonly string[] | null} labels
 * @property {Readonly<Record<string, unknown>> | null} preprocessing
 * @property {readonly Artifact[]} artifacts
 * @property {readonly BundleFile[]} files
 */

const SCHEMA_VERSION = 1;
const KINDS = Object.freeze({ object: "an object", array: "a list", string: "a text", count: "a whole number" });

/**
 * @param {string} text
 * @returns {Manifest}
 * @throws {BadBundle} It names the key.
 */
export function parseManifest(text) {
  const document = want(parseJson(text, "manifest.json"), "object", "manifest.json");
  if (document.schema !== SCHEMA_VERSION) {
    throw new BadBundle(`manifest.json: schema ${SCHEMA_VERSION} expected, ${show(document.schema)} found`);
  }
  const labels = document.labels ?? null;
  const preprocessing = document.preprocessing ?? null;
  return deepFreeze({
    name: want(document.name, "string", "name"),
    inputs: list(document, "inputs", readTensor),
    outputs: list(document, "outputs", readTensor),
    labels: labels && list(document, "labels", (item, place) => want(item, "string", place)),
    preprocessing: preprocessing && want(preprocessing, "object", "preprocessing"),
    artifacts: list(document, "artifacts", readArtifact),
    files: list(document, "files", readFile),
  });
}

/**
 * @param {string} text
 * @param {string} name The file, for the message.
 * @returns {unknown}
 */
export function parseJson(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BadBundle(`${name}: JSON expected, ${show(text.slice(0, 40))} found`, { cause: error });
  }
}

/**
 * The one that is called so.
 * @param {Manifest} manifest
 * @param {string} path
 * @returns {BundleFile}
 */
export function fileAt(manifest, path) {
  const file = allFiles(manifest).find((candidate) => candidate.path === path);
  if (!file) throw new BadBundle(`${manifest.name}: ${path} is not in the manifest`);
  return file;
}

/**
 * The file of an artefact that is called so.
 * @param {Artifact} artifact
 * @param {string} path
 * @returns {BundleFile}
 */
export function fileOf({ files, path: opened }, path) {
  const file = files.find((candidate) => candidate.path === path);
  if (!file) throw new BadBundle(`${opened}: names ${path}, which is not in the manifest`);
  return file;
}

/** @param {Manifest} manifest */
export function allFiles(manifest) {
  return [...manifest.artifacts.flatMap((artifact) => artifact.files), ...manifest.files];
}

/** @type {(item: unknown, place: string) => TensorSpec} */
function readTensor(item, place) {
  const spec = want(item, "object", place);
  const shape = list(spec, "shape", (size, at) => (size === null ? null : want(size, "count", at)), place);
  if (shape.length > 16) throw new BadBundle(`${place}.shape: at most 16 axes expected, ${shape.length} found`);
  return {
    name: want(spec.name, "string", `${place}.name`),
    shape,
    dtype: want(spec.dtype, "string", `${place}.dtype`),
    ...(spec.range == null ? {} : { range: readRange(spec.range, `${place}.range`) }),
    ...optionalTexts(spec, ["layout", "polarity", "meaning"], place),
  };
}

/** @type {(item: unknown, place: string) => [number, number]} */
function readRange(item, place) {
  const range = want(item, "array", place);
  const [low, high] = range;
  if (range.length !== 2 || !Number.isFinite(low) || !Number.isFinite(high) || low > high) {
    throw new BadBundle(`${place}: [smallest, largest] expected, ${show(item)} found`);
  }
  return [low, high];
}

/** @type {(spec: Record<string, unknown>, keys: string[], place: string) => Record<string, string>} */
function optionalTexts(spec, keys, place) {
  const given = keys.filter((key) => spec[key] != null);
  return Object.fromEntries(given.map((key) => [key, want(spec[key], "string", `${place}.${key}`)]));
}

/** @type {(item: unknown, place: string) => Artifact} */
function readArtifact(item, place) {
  const artifact = want(item, "object", place);
  const files = list(artifact, "files", readFile, place);
  const path = readPath(artifact.path, `${place}.path`);
  if (!files.some((file) => file.path === path)) {
    throw new BadBundle(`${place}.path: one of its files expected, ${show(path)} found`);
  }
  return {
    format: want(artifact.format, "string", `${place}.format`),
    precision: want(artifact.precision, "string", `${place}.precision`),
    path,
    files,
  };
}

/** @type {(item: unknown, place: string) => BundleFile} */
function readFile(item, place) {
  const file = want(item, "object", place);
  const sha256 = want(file.sha256, "string", `${place}.sha256`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new BadBundle(`${place}.sha256: 64 lower-case hex digits expected, ${show(sha256)} found`);
  }
  return {
    path: readPath(file.path, `${place}.path`),
    size_bytes: want(file.size_bytes, "count", `${place}.size_bytes`),
    sha256,
  };
}

/**
 * A plain relative path: nothing that a URL parser would read as more than that.
 * @type {(item: unknown, place: string) => string}
 */
function readPath(item, place) {
  const path = /** @type {string} */ (want(item, "string", place));
  const plain = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!plain || /[\\:%?#\0]/.test(path)) {
    throw new BadBundle(`${place}: a plain path inside the bundle expected, ${show(path)} found`);
  }
  return path;
}

/**
 * @template T
 * @param {Record<string, any>} document
 * @param {string} key
 * @param {(item: unknown, place: string) => T} read
 * @param {string} [place]
 * @returns {T[]}
 */
function list(document, key, read, place) {
  const at = place ? `${place}.${key}` : key;
  return want(document[key], "array", at).map((/** @type {unknown} */ item, /** @type {number} */ i) =>
    read(item, `${at}[${i}]`),
  );
}

/**
 * @param {unknown} value
 * @param {keyof typeof KINDS} kind
 * @param {string} place
 * @returns {any}
 */
export function want(value, kind, place) {
  const found = kindOf(value);
  if (found !== kind) throw new BadBundle(`${place}: ${KINDS[kind]} expected, ${show(value)} found`);
  return value;
}

/** @param {unknown} value */
function kindOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0) return "count";
  return typeof value;
}

/** @param {unknown} value */
function show(value) {
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80);
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function deepFreeze(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
