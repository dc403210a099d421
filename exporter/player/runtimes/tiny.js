/**
 * The tiny runner: TF.js layers models that are one chain of plain layers, without TF.js. Opens
 * with what `tfjs-layers` artefacts hold, float32 to uint8 weights, and refuses every other model
 * before its weights are fetched. It also shows what the layers in between answer.
 * @module
 */

import { BadBundle } from "../errors.js";
import { readVerified } from "../fetch.js";
import { fileOf, parseJson, want } from "../manifest.js";
import { LAYERS, refuse } from "./tiny-layers.js";

/**
 * @typedef {import("./index.js").Bundle} Bundle
 * @typedef {import("./index.js").Artifact} Artifact
 * @typedef {import("./index.js").Session} Session
 * @typedef {import("../tensor.js").Tensor} Tensor
 *
 * @typedef {{class_name: string, config: Record<string, any>, inbound_nodes: any[]}} LayerConfig
 *
 * @typedef {object} Layer One of the chain.
 * @property {string} name
 * @property {string} className
 * @property {readonly number[]} shape Of its output, without the batch.
 * @property {Float32Array | null} kernel (inputs, units), row after row; null where it has none.
 * @property {import("./tiny-layers.js").Run} run
 *
 * @typedef {Session & {layers: readonly Layer[], trace: (sample: Float32Array) => Float32Array[]}} TinySession
 *   `trace`: what each layer answers for one sample.
 */

const BACKEND = "js";

/**
 * @param {Bundle} bundle
 * @param {Artifact} artifact
 * @param {string} backend "js"
 * @returns {Promise<TinySession>}
 * @throws {UnsupportedModel} Not such a chain; the message names the layer.
 * @throws {BadBundle} The files are not what they say they are.
 */
export async function open(bundle, artifact, backend) {
  if (backend !== BACKEND) refuse("backend", backend);
  const text = new TextDecoder().decode(await readVerified(bundle.read, fileOf(artifact, artifact.path)));
  const document = want(parseJson(text, artifact.path), "object", artifact.path);
  const configs = chainOf(document.modelTopology?.model_config ?? {});
  const weights = await readWeights(bundle, artifact, document.weightsManifest ?? []);
  const layers = build(configs, weights);
  const trace = (/** @type {Float32Array} */ sample) => {
    let x = sample;
    return layers.map((layer) => (x = layer.run(x)));
  };
  return {
    backend: BACKEND,
    ranOn: "tiny js",
    layers,
    trace,
    predict: async ([{ data, shape }]) => [predict(trace, layers[layers.length - 1], data, shape[0])],
    close: async () => {},
  };
}

export const isReady = () => true;

/**
 * @param {(sample: Float32Array) => Float32Array[]} trace
 * @param {Layer} output
 * @param {import("../tensor.js").TypedArray} data
 * @param {number} count
 * @returns {Tensor}
 */
function predict(trace, output, data, count) {
  const numbers = data instanceof Float32Array ? data : Float32Array.from(/** @type {any} */ (data), Number);
  const size = numbers.length / count;
  const answers = Array.from({ length: count }, (_, i) => trace(numbers.subarray(i * size, (i + 1) * size)).at(-1));
  const joined = new Float32Array(answers.flatMap((answer) => Array.from(answer ?? [])));
  return { dtype: "float32", shape: [count, ...output.shape], data: joined };
}

/**
 * The layers' configs, the input first, if each is called once on the one before it.
 * @param {Record<string, any>} model
 * @returns {LayerConfig[]}
 */
function chainOf({ class_name, config }) {
  const configs = /** @type {LayerConfig[]} */ (config?.layers ?? []);
  if (class_name !== "Functional" || configs.length < 2) refuse("model", class_name);
  let before = "";
  configs.forEach(({ class_name: kind, config: { name }, inbound_nodes: calls }, i) => {
    const known = i === 0 ? kind === "InputLayer" : Object.hasOwn(LAYERS, kind);
    if (!known) refuse(`layer ${name}`, kind);
    const chained = i === 0 || (calls.length === 1 && calls[0].length === 1 && calls[0][0][0] === before);
    if (!chained) refuse(`layer ${name}`, "another call than one on the layer before it");
    before = name;
  });
  const { output_layers: outputs } = config;
  if (outputs.length !== 1 || outputs[0][0] !== before) refuse("outputs", "another one than the last layer's");
  return configs;
}

/**
 * @param {readonly LayerConfig[]} configs
 * @param {ReadonlyMap<string, {shape: readonly number[], values: Float32Array}>} weights
 * @returns {Layer[]}
 */
function build([input, ...configs], weights) {
  /** @type {readonly number[]} */
  let shape = input.config.batch_input_shape.slice(1);
  if (shape.some((size) => typeof size !== "number")) {
    refuse(`input ${input.config.name}`, `a shape of (${shape})`);
  }
  return configs.map(({ class_name: className, config }) => {
    const { name } = config;
    const weight = (/** @type {string} */ part, /** @type {readonly number[]} */ expected) => {
      const found = weights.get(`${name}/${part}`);
      if (!found || `${found.shape}` !== `${expected}`) {
        throw new BadBundle(`weight ${name}/${part}: shape ${expected} expected, ${found?.shape ?? "nothing"} found`);
      }
      return found.values;
    };
    const built = LAYERS[className]({ name, config, shape, weight });
    shape = built.shape;
    return { name, className, kernel: weights.get(`${name}/kernel`)?.values ?? null, ...built };
  });
}

/**
 * @param {Bundle} bundle
 * @param {Artifact} artifact
 * @param {{paths: string[], weights: Record<string, any>[]}[]} groups The `weightsManifest`.
 */
async function readWeights(bundle, artifact, groups) {
  const folder = artifact.path.slice(0, artifact.path.lastIndexOf("/") + 1);
  const found = new Map();
  for (const { paths, weights } of groups) {
    const shards = await Promise.all(
      paths.map((path) => readVerified(bundle.read, fileOf(artifact, folder + path))),
    );
    const bytes = await new Blob(shards).arrayBuffer();
    let offset = 0;
    for (const weight of weights) {
      const { values, end } = decode(bytes, offset, weight);
      found.set(weight.name, { shape: weight.shape, values });
      offset = end;
    }
  }
  return found;
}

const READERS = Object.freeze({
  float32: { size: 4, read: (/** @type {DataView} */ view, /** @type {number} */ at) => view.getFloat32(at, true) },
  float16: { size: 2, read: (/** @type {DataView} */ view, /** @type {number} */ at) => half(view.getUint16(at, true)) },
  uint16: { size: 2, read: (/** @type {DataView} */ view, /** @type {number} */ at) => view.getUint16(at, true) },
  uint8: { size: 1, read: (/** @type {DataView} */ view, /** @type {number} */ at) => view.getUint8(at) },
});

/**
 * One weight's numbers; a quantised one is q * scale + min, rounded once, as TF.js reads it.
 * @param {ArrayBuffer} bytes
 * @param {number} offset
 * @param {Record<string, any>} weight
 */
function decode(bytes, offset, { name, shape, dtype, quantization }) {
  const stored = quantization?.dtype ?? dtype;
  if (!Object.hasOwn(READERS, stored)) refuse(`weight ${name}`, stored);
  const { size, read } = READERS[/** @type {keyof typeof READERS} */ (stored)];
  const count = shape.reduce((/** @type {number} */ product, /** @type {number} */ n) => product * n, 1);
  const end = offset + count * size;
  if (end > bytes.byteLength) throw new BadBundle(`weight ${name}: ${end} bytes expected, ${bytes.byteLength} found`);
  const view = new DataView(bytes);
  const { scale = 1, min = 0 } = quantization ?? {};
  return { end, values: Float32Array.from({ length: count }, (_, i) => read(view, offset + i * size) * scale + min) };
}

/** The number whose float16 has these bits. @param {number} bits */
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
