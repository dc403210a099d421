import assert from "node:assert/strict";
import { test } from "node:test";
import { BadInput } from "../../exporter/player/errors.js";
import { arrayOf, castTo } from "../../exporter/player/tensor.js";

const tensor = (dtype, numbers) => ({ dtype, shape: [numbers.length], data: new (arrayOf(dtype))(numbers) });

test("numbers survive a change of dtype", () => {
  assert.deepEqual(castTo(tensor("int64", [1n, -2n]), "int32").data, Int32Array.of(1, -2));
  assert.deepEqual(castTo(tensor("int32", [1, -2]), "int64").data, BigInt64Array.of(1n, -2n));
  assert.deepEqual(castTo(tensor("float32", [1.9, -1.9]), "int32").data, Int32Array.of(1, -1));
  assert.deepEqual(castTo(tensor("float64", [0.1]), "float32").data, Float32Array.of(0.1));
  assert.deepEqual(castTo(tensor("float32", [0, 0.5, -1]), "bool").data, Uint8Array.of(0, 1, 1));
});

test("the same dtype is not copied", () => {
  const given = tensor("float32", [1]);
  assert.equal(castTo(given, "float32"), given);
});

test("an unknown dtype is named", () => {
  assert.throws(() => arrayOf("complex64"), (e) => e instanceof BadInput && /complex64/.test(e.message));
  assert.throws(() => arrayOf("constructor"), BadInput);
});
