/**
 * The model that a page holds: checks what it is given, asks the session, answers.
 * @module
 */

import { BadInput, RuntimeFailed, messageOf } from "./errors.js";
import { arrayOf, castTo, sizeOf } from "./tensor.js";

/**
 * @typedef {import("./manifest.js").TensorSpec} TensorSpec
 * @typedef {import("./tensor.js").Tensor} Tensor
 * @typedef {import("./tensor.js").TypedArray} TypedArray
 * @typedef {TypedArray | Tensor} Given Numbers of whole samples, or with their shape.
 */

const WHOLE_32 = 2 ** 31;

/** A loaded model whose self-test has passed. */
export class Model {
  #session;
  #manifest;

  /**
   * @param {import("./runtimes/index.js").Session} session
   * @param {import("./manifest.js").Manifest} manifest
   * @param {Readonly<import("./index.js").Info>} info
   */
  constructor(session, manifest, info) {
    this.#session = session;
    this.#manifest = manifest;
    /** What was chosen, and why. */
    this.info = info;
  }

  /**
   * Answers any number of samples, none too.
   * @param {Given | Record<string, Given>} input The only input's numbers, or inputs by name.
   * @returns {Promise<any>} A typed array in, and the model has one output: its numbers, the
   *   samples one after another. Else outputs by name, as tensors.
   * @throws {BadInput} Not finite, or not the model's shape.
   * @throws {RuntimeFailed} The runtime's own error.
   */
  async predict(input) {
    const { inputs, outputs } = this.#manifest;
    const plain = ArrayBuffer.isView(input);
    const tensors = checkInputs(inputs, input);
    const results = tensors[0]?.shape[0] === 0 ? outputs.map(emptyTensor) : await this.#run(tensors);
    if (plain && outputs.length === 1) return results[0].data;
    return Object.fromEntries(outputs.map((spec, i) => [spec.name, results[i]]));
  }

  /** @param {readonly Tensor[]} tensors */
  async #run(tensors) {
    try {
      return await this.#session.predict(tensors);
    } catch (error) {
      throw new RuntimeFailed(`${this.#session.ranOn}: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Frees what the runtime holds; the model cannot be used after that. */
  async close() {
    await this.#session.close();
  }
}

/**
 * Tensors in the manifest's order, dtypes and shapes.
 * @param {readonly TensorSpec[]} specs
 * @param {any} input
 * @returns {Tensor[]}
 */
export function checkInputs(specs, input) {
  const single = ArrayBuffer.isView(input) || ArrayBuffer.isView(input?.data);
  if (single && specs.length !== 1) {
    throw new BadInput(`inputs ${specs.map((spec) => spec.name).join(", ")} by name expected, one array found`);
  }
  const given = single ? { [specs[0].name]: input } : (input ?? {});
  for (const name of Object.keys(given)) {
    if (!specs.some((spec) => spec.name === name)) throw new BadInput(`input ${name}: the model has none of that name`);
  }
  const tensors = specs.map((spec) => checkInput(spec, given[spec.name]));
  const counts = new Set(tensors.map((tensor) => tensor.shape[0]));
  if (counts.size > 1) throw new BadInput(`as many samples in each input expected, ${[...counts].join(", ")} found`);
  return tensors;
}

/**
 * @param {TensorSpec} spec
 * @param {any} given
 * @returns {Tensor}
 */
function checkInput(spec, given) {
  const data = ArrayBuffer.isView(given) ? given : given?.data;
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    throw new BadInput(`input ${spec.name}: a typed array expected, ${given === undefined ? "nothing" : typeof given} found`);
  }
  const numbers = /** @type {TypedArray} */ (/** @type {unknown} */ (data));
  const shape = given.shape ? [...given.shape] : shapeOf(spec, numbers.length);
  const fits =
    shape.length === spec.shape.length &&
    spec.shape.every((size, i) => size === null || size === shape[i]) &&
    sizeOf(shape) === numbers.length;
  if (!fits) {
    throw new BadInput(`input ${spec.name}: shape ${show(spec.shape)} expected, ${numbers.length} numbers as ${show(shape)} found`);
  }
  const dtype = given.dtype ?? dtypeOf(numbers);
  checkNumbers(spec, numbers);
  return castTo({ dtype, shape, data: numbers }, spec.dtype);
}

/** @type {(spec: TensorSpec, numbers: TypedArray) => void} */
function checkNumbers(spec, numbers) {
  const whole = spec.dtype !== "float32";
  for (let i = 0; i < numbers.length; i++) {
    const value = Number(numbers[i]);
    if (!Number.isFinite(value)) {
      throw new BadInput(`input ${spec.name}: finite numbers expected, ${value} found at ${i}`);
    }
    if (whole && (!Number.isInteger(value) || value < -WHOLE_32 || value >= WHOLE_32)) {
      throw new BadInput(`input ${spec.name}: whole numbers of ${spec.dtype} expected, ${value} found at ${i}`);
    }
  }
}

/**
 * The shape of so many numbers, where only the batch is free.
 * @type {(spec: TensorSpec, length: number) => number[]}
 */
function shapeOf(spec, length) {
  const [batch, ...rest] = spec.shape;
  if (rest.includes(null)) {
    throw new BadInput(`input ${spec.name}: {data, shape} expected, as ${show(spec.shape)} is not fully known`);
  }
  const sizes = /** @type {number[]} */ (rest);
  const samples = length / sizeOf(sizes);
  if (!Number.isInteger(samples) || (batch !== null && batch !== samples)) {
    throw new BadInput(`input ${spec.name}: shape ${show(spec.shape)} expected, ${length} numbers found`);
  }
  return [samples, ...sizes];
}

/** @type {(numbers: TypedArray) => string} */
function dtypeOf(numbers) {
  return numbers.constructor.name.replace("Clamped", "").replace("Big", "").replace("Array", "").toLowerCase();
}

/** @type {(spec: TensorSpec) => Tensor} */
function emptyTensor(spec) {
  const shape = [0, ...spec.shape.slice(1).map((size) => size ?? 0)];
  return { dtype: spec.dtype, shape, data: new (arrayOf(spec.dtype))(0) };
}

/** @type {(shape: readonly (number | null)[]) => string} */
function show(shape) {
  return `(${shape.map((size) => size ?? "batch").join(", ")})`;
}
