/**
 * Tensors as bytes between the page and the parity run: a length (4 bytes, little-endian), that many
 * bytes of JSON, and the raw bytes of the tensors that the JSON's `tensors` describes
 * ({dtype, shape, size_bytes}), one after another. The frames of node/host.js, whole in memory.
 * @module
 */

import { arrayOf, sizeOf } from "../tensor.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */

const LENGTH_BYTES = 4;

/**
 * @param {ArrayBuffer} buffer
 * @returns {{header: Record<string, any>, tensors: Tensor[]}}
 */
export function parseFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  let offset = LENGTH_BYTES + length;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH_BYTES, length)));
  const tensors = header.tensors.map((/** @type {any} */ { dtype, shape, size_bytes }) => {
    // A copy: typed arrays want their bytes at a multiple of the element's size.
    const bytes = buffer.slice(offset, (offset += size_bytes));
    return { dtype, shape, data: new (arrayOf(dtype))(bytes) };
  });
  return { header, tensors };
}

/**
 * @param {object} header
 * @param {readonly Tensor[]} tensors
 * @returns {Blob}
 */
export function makeFrame(header, tensors) {
  const described = tensors.map(({ dtype, shape, data }) => {
    if (sizeOf(shape) !== data.length) throw new Error(`${data.length} numbers for the shape ${shape}`);
    return { dtype, shape, size_bytes: data.byteLength };
  });
  const text = new TextEncoder().encode(JSON.stringify({ ...header, tensors: described }));
  const length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  length.setUint32(0, text.length, true);
  return new Blob([length, text, .../** @type {BlobPart[]} */ (tensors.map(({ data }) => data))]);
}
