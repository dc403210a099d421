/**
 * The layers that the tiny runner knows, each as a function of one sample. Sums are made in
 * float64 and stored as float32, so that only the storage rounds. Imports errors.js only.
 * @module
 */

import { UnsupportedModel } from "../errors.js";

/**
 * @typedef {(x: Float32Array) => Float32Array} Run One sample in, one sample out.
 *
 * @typedef {object} Built
 * @property {readonly number[]} shape Of the output, without the batch.
 * @property {Run} run
 *
 * @typedef {object} Source What a layer is built of.
 * @property {string} name
 * @property {Record<string, any>} config As model.json has it.
 * @property {readonly number[]} shape Of the input, without the batch.
 * @property {(name: string, shape: readonly number[]) => Float32Array} weight One of its own.
 */

const SELU_SCALE = 1.0507009873554805;
const SELU_ALPHA = 1.6732632423543772;

/** @param {number} x */
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
/** @param {number} x */
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Of one number. @type {Readonly<Record<string, (x: number) => number>>} */
const ELEMENTWISE = Object.freeze({
  relu: (x) => Math.max(x, 0),
  relu6: (x) => Math.min(Math.max(x, 0), 6),
  sigmoid,
  tanh: Math.tanh,
  elu: (x) => (x > 0 ? x : Math.expm1(x)),
  selu: (x) => SELU_SCALE * (x > 0 ? x : SELU_ALPHA * Math.expm1(x)),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  swish: (x) => x * sigmoid(x),
  mish: (x) => x * Math.tanh(softplus(x)),
});

/** Of all numbers along the last axis, in place. @type {Readonly<Record<string, (row: Float64Array) => void>>} */
const ALONG = Object.freeze({
  softmax(row) {
    const most = Math.max(...row);
    const exponentials = row.map((x) => Math.exp(x - most));
    const sum = exponentials.reduce((total, x) => total + x, 0);
    row.set(exponentials.map((x) => x / sum));
  },
  log_softmax(row) {
    const most = Math.max(...row);
    const sum = row.reduce((total, x) => total + Math.exp(x - most), 0);
    row.set(row.map((x) => x - most - Math.log(sum)));
  },
});

/** @type {Readonly<Record<string, (source: Source) => Built>>} */
export const LAYERS = Object.freeze({
  Flatten: ({ name, config, shape }) => {
    if (config.data_format === "channels_first" && shape.length > 1) refuse(`layer ${name}`, "data_format channels_first");
    return { shape: [size(shape)], run: (x) => x };
  },
  Reshape: ({ name, config, shape }) => {
    const target = /** @type {number[]} */ (config.target_shape);
    const known = target.reduce((product, n) => (n < 0 ? product : product * n), 1);
    const filled = target.map((n) => (n < 0 ? size(shape) / known : n));
    if (size(filled) !== size(shape)) refuse(`layer ${name}`, `${shape} as ${target}`);
    return { shape: filled, run: (x) => x };
  },
  Dropout: ({ shape }) => ({ shape, run: (x) => x }),
  Activation: ({ name, config, shape }) => ({ shape, run: activation(name, config.activation, last(shape)) }),
  Dense: buildDense,
  Rescaling: ({ name, config, shape }) => {
    const width = last(shape);
    const [scale, offset] = [config.scale, config.offset].map((value) => perChannel(name, value, width));
    return { shape, run: (x) => x.map((value, i) => value * scale[i % width] + offset[i % width]) };
  },
  BatchNormalization: buildNormalization,
});

/** @param {Source} source @returns {Built} */
function buildDense({ name, config, shape, weight }) {
  const [inputs, units] = [last(shape), config.units];
  const kernel = weight("kernel", [inputs, units]);
  const bias = config.use_bias === false ? new Float32Array(units) : weight("bias", [units]);
  const activate = activation(name, config.activation ?? "linear", units);
  /** @param {Float32Array} x */
  const run = (x) => {
    const result = new Float32Array((x.length / inputs) * units);
    const sums = new Float64Array(units);
    for (let row = 0; row < x.length / inputs; row++) {
      sums.set(bias);
      for (let i = 0; i < inputs; i++) {
        const value = x[row * inputs + i];
        // Most of a drawn digit is 0: this makes the whole four times faster.
        if (value === 0) continue;
        const at = i * units;
        for (let j = 0; j < units; j++) sums[j] += value * kernel[at + j];
      }
      result.set(sums, row * units);
    }
    return activate(result);
  };
  return { shape: [...shape.slice(0, -1), units], run };
}

/** @param {Source} source @returns {Built} */
function buildNormalization({ name, config, shape, weight }) {
  const axis = Array.isArray(config.axis) ? config.axis[0] : (config.axis ?? -1);
  if (axis !== -1 && axis !== shape.length) refuse(`layer ${name}`, `axis ${axis}`);
  const width = last(shape);
  const wanted = (/** @type {string} */ part, /** @type {boolean} */ there, /** @type {number} */ missing) =>
    there ? weight(part, [width]) : new Float32Array(width).fill(missing);
  const gamma = wanted("gamma", config.scale !== false, 1);
  const beta = wanted("beta", config.center !== false, 0);
  const mean = wanted("moving_mean", true, 0);
  const spread = wanted("moving_variance", true, 1);
  const factor = Float64Array.from(gamma, (g, i) => g / Math.sqrt(spread[i] + config.epsilon));
  return {
    shape,
    run: (x) => x.map((value, i) => (value - mean[i % width]) * factor[i % width] + beta[i % width]),
  };
}

/** @type {(layer: string, name: string, width: number) => Run} */
function activation(layer, name, width) {
  if (name === "linear") return (x) => x;
  if (Object.hasOwn(ELEMENTWISE, name)) return (x) => x.map(ELEMENTWISE[name]);
  if (!Object.hasOwn(ALONG, name)) refuse(`layer ${layer}`, `activation ${name}`);
  return (x) => {
    const result = Float64Array.from(x);
    for (let at = 0; at < x.length; at += width) ALONG[name](result.subarray(at, at + width));
    return Float32Array.from(result);
  };
}

/** A number, or one number for each place of the last axis. @type {(layer: string, value: any, width: number) => readonly number[]} */
function perChannel(layer, value, width) {
  if (typeof value === "number") return new Array(width).fill(value);
  if (Array.isArray(value) && value.length === width && value.every((x) => typeof x === "number")) return value;
  return refuse(`layer ${layer}`, "scale or offset of more than one axis");
}

/** @type {(what: string, found: unknown) => never} */
export function refuse(what, found) {
  throw new UnsupportedModel(`tiny: ${what}: ${found} is not known here; use the runtime tfjs`);
}

/** @param {readonly number[]} shape */
const size = (shape) => shape.reduce((product, n) => product * n, 1);
/** @param {readonly number[]} shape */
const last = (shape) => shape[shape.length - 1] ?? 1;
