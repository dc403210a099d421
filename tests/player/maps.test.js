import assert from "node:assert/strict";
import { test } from "node:test";
import { MapInspector } from "../../exporter/player/maps.js";

const SIDE = 6;

/** A session over made-up layers: two maps of 1 × 2 made of three, one map each, and two outputs. */
function sessionOf(answer = async () => new Float32Array()) {
  // Every number says where it stands: row, column, map read, map made.
  const kernel = Float32Array.from([0, 1].flatMap((column) => [0, 1, 2].flatMap((read) => [0, 1].map((made) => 100 * column + 10 * read + made))));
  return {
    layers: [
      { name: "maps", units: 2, map: { height: 1, width: 2 }, kernel: { values: kernel, shape: [1, 2, 3, 2], each: false } },
      { name: "each", units: 6, map: { height: 1, width: 1 }, kernel: { values: kernel, shape: [1, 2, 3, 2], each: true } },
      { name: "sum", units: 2, map: { height: 1, width: 2 }, kernel: null },
      { name: "answers", units: 2, kernel: { values: Float32Array.of(1, 2, 3, 4), shape: [1, 1, 2, 2], each: false } },
    ],
    look: async (sample) => [sample],
    answer,
    close: async () => {},
  };
}

test("layers are told with the size of their maps; a dense one has none", () => {
  const { layers } = new MapInspector(sessionOf());
  assert.deepEqual(layers[0], { name: "maps", units: 2, map: { height: 1, width: 2 } });
  assert.deepEqual(layers[3], { name: "answers", units: 2 });
});

test("a map is every so many-th number of what a layer answers", () => {
  const inspector = new MapInspector(sessionOf());
  assert.deepEqual(Array.from(inspector.mapOf(0, 1, [Float32Array.of(1, 2, 3, 4)])), [2, 4]);
});

test("a map's kernels are one for each map that it reads", () => {
  const { values, ...size } = new MapInspector(sessionOf()).kernelsOf(0, 1);
  assert.deepEqual(size, { count: 3, height: 1, width: 2 });
  assert.deepEqual(Array.from(values), [1, 101, 11, 111, 21, 121]);
});

test("a map of a depthwise layer has one kernel, that of the map that it is made of", () => {
  const { values, ...size } = new MapInspector(sessionOf()).kernelsOf(1, 5);
  assert.deepEqual(size, { count: 1, height: 1, width: 2 });
  assert.deepEqual(Array.from(values), [21, 121]);
});

test("a sum has no kernel, and a unit's weights are kernels of one number", () => {
  const inspector = new MapInspector(sessionOf());
  assert.equal(inspector.kernelsOf(2, 0), null);
  assert.deepEqual(Array.from(inspector.kernelsOf(3, 1).values), [2, 4]);
});

test("ink that an answer rests on is for it, ink that it suffers from against it, and paper is nothing", async () => {
  const size = SIDE * SIDE;
  const [good, bad] = [0, size - 1];
  let asked = 0;
  const answer = async (samples) => {
    asked = samples.length / size;
    return Float32Array.from({ length: 2 * asked }, (_, i) => {
      const at = Math.floor(i / 2) * size;
      return i % 2 === 1 ? samples[at + good] - samples[at + bad] : 0;
    });
  };
  const sample = new Float32Array(size);
  sample[good] = sample[bad] = 1;
  const ink = await new MapInspector(sessionOf(answer)).inkOf(1, sample, SIDE);
  assert.ok(ink[good] > 0);
  assert.ok(ink[bad] < 0);
  assert.equal(ink.filter((value) => value !== 0).length, 2);
  // The picture itself, and each corner's four windows: those on paper alone are not asked about.
  assert.equal(asked, 1 + 4 + 4);
});
