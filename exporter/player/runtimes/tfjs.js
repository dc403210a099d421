/**
 * TensorFlow.js: layers models and graph models, on each of its backends. Owns the choice of
 * backend, the queue of calls (TF.js has one backend at a time for the whole page) and the way of
 * tensors in and out.
 * @module
 */

import * as tf from "@tensorflow/tfjs-core";
import { PlatformBrowser } from "@tensorflow/tfjs-core/dist/platforms/platform_browser.js";
import { BadBundle, RuntimeFailed, messageOf } from "../errors.js";
import { castTo } from "../tensor.js";
import { readArtifacts } from "./tfjs-artifacts.js";

/**
 * @typedef {import("./index.js").Bundle} Bundle
 * @typedef {import("./index.js").Session} Session
 * @typedef {import("./index.js").Artifact} Artifact
 * @typedef {import("../tensor.js").Tensor} Tensor
 *
 * @typedef {object} TfjsModel
 * @property {(inputs: tf.Tensor[]) => tf.Tensor[] | Promise<tf.Tensor[]>} predict
 * @property {() => void} dispose
 */

/** What each format needs: its module, loaded when it is first wanted. */
const MODELS = Object.freeze({
  "tfjs-layers": () => import("./tfjs-layers.js"),
  "tfjs-graph": () => import("./tfjs-graph.js"),
});

/** What each backend needs, likewise; TF.js puts a backend that is imported into its registry. */
const BACKENDS = Object.freeze({
  cpu: () => import("./tfjs-cpu.js"),
  wasm: async (/** @type {Bundle} */ bundle) => (await import("./tfjs-wasm.js")).register(bundle.readAsset),
  webgl: () => import("./tfjs-webgl.js"),
  webgpu: () => import("./tfjs-webgpu.js"),
});

/** TF.js' dtypes by NumPy's names; every other whole number becomes int32. */
const DTYPES = Object.freeze({ float32: "float32", float64: "float32", bool: "bool" });

// Outside a page TF.js finds no platform, because the bundle hides Node from it (see build.js).
if (!tf.env().platform) tf.env().setPlatform("player", new PlatformBrowser());

/** Formats whose modules are here. @type {Set<string>} */
const formats = new Set();

/** The tail of the queue: setting a backend and running on it must not be parted. */
let queue = Promise.resolve();

/**
 * @template T
 * @param {() => Promise<T>} job
 * @returns {Promise<T>}
 */
export function enqueue(job) {
  const result = queue.then(job);
  queue = result.then(() => {}, () => {});
  return result;
}

/**
 * @param {Bundle} bundle
 * @param {Artifact} artifact
 * @param {string} backend A key of BACKENDS.
 * @returns {Promise<Session>}
 */
export async function open(bundle, artifact, backend) {
  const loadModule = MODELS[/** @type {keyof typeof MODELS} */ (artifact.format)];
  if (!loadModule) throw new BadBundle(`tfjs: ${artifact.format} is no format of TF.js`);
  const [module, artifacts] = await Promise.all([loadModule(), readArtifacts(bundle.read, artifact)]);
  formats.add(artifact.format);
  const model = await enqueue(async () => {
    await useBackend(bundle, backend);
    return module.load(artifacts, bundle.manifest);
  });
  let ranOn = tf.getBackend();
  return {
    get backend() {
      return ranOn;
    },
    get ranOn() {
      return `tfjs ${tf.version_core} ${ranOn}${precisionOf(ranOn)}`;
    },
    predict: (inputs) =>
      enqueue(async () => {
        await useBackend(bundle, backend);
        const outputs = await run(model, inputs);
        // Asked for after the run: what TF.js says then is what has run.
        ranOn = tf.getBackend();
        return outputs;
      }),
    close: () => enqueue(async () => model.dispose()),
  };
}

/** @type {(backend: string, format: string) => boolean} */
export function isReady(backend, format) {
  return formats.has(format) && Boolean(tf.findBackendFactory(backend));
}

/**
 * Make `backend` the one that runs; TF.js would quietly take another.
 * Only from within the queue.
 * @param {Bundle} bundle
 * @param {string} backend
 */
export async function useBackend(bundle, backend) {
  if (tf.getBackend() === backend) return;
  let chosen;
  try {
    if (!tf.findBackendFactory(backend)) await register(bundle, backend);
    chosen = (await tf.setBackend(backend)) && tf.getBackend();
  } catch (error) {
    throw new RuntimeFailed(`tfjs: backend ${backend} does not start: ${messageOf(error)}`, { cause: error });
  }
  if (chosen !== backend) {
    throw new RuntimeFailed(`tfjs: backend ${backend} expected, ${tf.getBackend()} found`);
  }
}

/**
 * @param {Bundle} bundle
 * @param {string} backend
 */
async function register(bundle, backend) {
  const load = BACKENDS[/** @type {keyof typeof BACKENDS} */ (backend)];
  if (!load) {
    throw new RuntimeFailed(`tfjs: backend ${backend}: unknown; known: ${Object.keys(BACKENDS).join(", ")}`);
  }
  await load(bundle);
}

/**
 * Phones have WebGL without 32-bit textures to draw into; TF.js then computes in 16 bits.
 * @param {string} backend
 */
function precisionOf(backend) {
  return backend === "webgl" && !tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED") ? " with 16-bit textures" : "";
}

/**
 * @param {TfjsModel} model
 * @param {readonly Tensor[]} inputs
 * @returns {Promise<Tensor[]>}
 */
async function run(model, inputs) {
  const given = inputs.map(toTfjs);
  /** @type {tf.Tensor[]} */
  let outputs = [];
  try {
    outputs = await model.predict(given);
    return await Promise.all(outputs.map(fromTfjs));
  } finally {
    tf.dispose([...given, ...outputs]);
  }
}

/** @param {Tensor} tensor */
function toTfjs(tensor) {
  const dtype = DTYPES[/** @type {keyof typeof DTYPES} */ (tensor.dtype)] ?? "int32";
  const { data, shape } = castTo(tensor, dtype);
  return tf.tensor(/** @type {any} */ (data), [...shape], /** @type {tf.DataType} */ (dtype));
}

/** @param {tf.Tensor} tensor @returns {Promise<Tensor>} */
async function fromTfjs(tensor) {
  const data = /** @type {any} */ (await tensor.data());
  return { dtype: tensor.dtype, shape: tensor.shape, data };
}
