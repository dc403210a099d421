import assert from "node:assert/strict";
import { test } from "node:test";
import { Inspector } from "../../exporter/player/inspector.js";

// Two inputs, three relu units, one output.
const FIRST = Float32Array.of(1, -2, 3, 4, 5, -6);
const SECOND = Float32Array.of(2, -1, 0.5);

/** A session of the tiny runner over plain functions. */
function sessionOf(trace) {
  const layers = [
    { name: "flatten", shape: [2], kernel: null },
    { name: "hidden", shape: [3], kernel: FIRST },
    { name: "relu", shape: [3], kernel: null },
    { name: "output", shape: [1], kernel: SECOND },
  ];
  return { layers, trace };
}

/** @param {Float32Array} x */
function trace(x) {
  const hidden = Float32Array.from([0, 1, 2], (j) => x[0] * FIRST[j] + x[1] * FIRST[3 + j]);
  const relu = hidden.map((value) => Math.max(0, value));
  return [x, hidden, relu, Float32Array.of(relu.reduce((sum, value, j) => sum + value * SECOND[j], 0))];
}

test("Dense layers are found, and what follows one of them belongs to it", () => {
  const inspector = new Inspector(sessionOf(trace));
  assert.deepEqual(inspector.layers, [{ name: "hidden", units: 3 }, { name: "output", units: 1 }]);
  assert.deepEqual(inspector.look(Float32Array.of(1, 0)).map((x) => Array.from(x)), [[1, 0, 3], [3.5]]);
});

test("a unit of the first layer looks for its own weights", () => {
  const inspector = new Inspector(sessionOf(trace));
  const answers = inspector.look(Float32Array.of(1, 0));
  assert.deepEqual(Array.from(inspector.weightsOf(0, 1, answers)), [-2, 5]);
});

test("a unit above it looks for what moves it: the slope of its answer", () => {
  const inspector = new Inspector(sessionOf(trace));
  const [x, y, step] = [1, 0.1, 1e-2];
  const weights = inspector.weightsOf(1, 0, inspector.look(Float32Array.of(x, y)));
  const at = (u, v) => trace(Float32Array.of(u, v))[3][0];
  assert.ok(Math.abs(weights[0] - (at(x + step, y) - at(x, y)) / step) < 1e-3);
  assert.ok(Math.abs(weights[1] - (at(x, y + step) - at(x, y)) / step) < 1e-3);
});
