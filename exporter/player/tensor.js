/**
 * Tensors as the player passes them around: a dtype, a shape, a typed array in row-major order.
 * dtypes have NumPy's names. Imports errors.js only.
 * @module
 */

import { BadInput } from "./errors.js";

/**
 * @typedef {Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array |
 *   Int32Array | Uint32Array | BigInt64Array | BigUint64Array} TypedArray
 *
 * @typedef {object} Tensor
 * @property {string} dtype NumPy's name.
 * @property {readonly number[]} shape
 * @property {TypedArray} data float16 as Uint16Array of its bits, bool as Uint8Array of 0 and 1.
 */

const ARRAYS = Object.freeze({
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
});

/**
 * The typed array that holds a dtype.
 * @param {string} dtype
 * @returns {{new (source: any): TypedArray, BYTES_PER_ELEMENT: number}}
 */
export function arrayOf(dtype) {
  if (!Object.hasOwn(ARRAYS, dtype)) {
    throw new BadInput(`dtype ${JSON.stringify(dtype)}: unknown; known: ${Object.keys(ARRAYS).join(", ")}`);
  }
  return ARRAYS[/** @type {keyof typeof ARRAYS} */ (dtype)];
}

/**
 * Number of elements of a shape.
 * @param {readonly number[]} shape
 */
export function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * The same numbers in another dtype, rounded toward zero where it holds integers.
 * float16 can be passed on but not converted: JavaScript engines of today lack the type.
 * @param {Tensor} tensor
 * @param {string} dtype
 * @returns {Tensor}
 */
export function castTo(tensor, dtype) {
  if (tensor.dtype === dtype) return tensor;
  if (tensor.dtype === "float16" || dtype === "float16") {
    throw new BadInput(`cannot convert ${tensor.dtype} to ${dtype}`);
  }
  const { data, shape } = tensor;
  const Target = arrayOf(dtype);
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  if (dtype === "int64" || dtype === "uint64") {
    return { dtype, shape, data: new Target(Array.from(/** @type {ArrayLike<number | bigint>} */ (data), (x) => BigInt(x))) };
  }
  const numbers = wide ? Array.from(data, Number) : data;
  if (dtype === "bool") return { dtype, shape, data: Uint8Array.from(numbers, (x) => (x ? 1 : 0)) };
  return { dtype, shape, data: new Target(numbers) };
}
