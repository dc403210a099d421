import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CONTRACT, coverage, fromStrokes } from "../../exporter/player/ink.js";
import { fromPixels } from "../../exporter/player/picture.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/ink.json", import.meta.url), "utf8"));
const SEVEN = [[[10, 10], [90, 12], [60, 60], [40, 120]]];

/** @type {(numbers: Float32Array, axis: 0 | 1) => number} */
function centreOf(numbers, axis) {
  const mass = numbers.reduce((sum, x) => sum + x, 0);
  return numbers.reduce((sum, x, i) => sum + x * (axis ? i % 28 : Math.floor(i / 28)), 0) / mass;
}

/** Paints polylines into RGBA, each pixel at its middle. */
function paint({ width, height, strokes, radius, ink, ground }) {
  const covered = coverage(strokes.map((points) => Float64Array.from(points.flat())), radius, Math.max(width, height));
  const data = new Uint8ClampedArray(4 * width * height);
  for (let i = 0; i < width * height; i++) {
    const share = covered[Math.floor(i / width) * Math.max(width, height) + (i % width)];
    for (let c = 0; c < 4; c++) data[4 * i + c] = ground[c] + (ink[c] - ground[c]) * share;
  }
  return { width, height, data };
}

test("a dot covers the area of a circle", () => {
  for (const radius of [1, 1.5, 2.37]) {
    const area = coverage([Float64Array.of(10.2, 9.9)], radius, 20).reduce((sum, x) => sum + x, 0);
    assert.ok(Math.abs(area - Math.PI * radius ** 2) < 0.02 * area, `${radius}: ${area}`);
  }
});

test("a line covers the area of a stadium", () => {
  const [length, radius] = [Math.hypot(9, 4), 1.3];
  const area = coverage([Float64Array.of(4, 6, 13, 10)], radius, 20).reduce((sum, x) => sum + x, 0);
  assert.ok(Math.abs(area - (2 * radius * length + Math.PI * radius ** 2)) < 0.01 * area, `${area}`);
});

test("crossing lines do not count twice", () => {
  const lines = [Float64Array.of(3, 10, 17, 10), Float64Array.of(10, 3, 10, 17)];
  assert.ok(coverage(lines, 1.5, 20).every((x) => x >= 0 && x <= 1));
});

test("size and place on the canvas change nothing", () => {
  const expected = fromStrokes(SEVEN, { canvasSide: 200 });
  for (const [factor, dx, dy] of [[0.25, 0, 0], [4, 1000, -500], [1.7, 3.3, 8.9]]) {
    const moved = SEVEN.map((stroke) => stroke.map(([x, y]) => [x * factor + dx, y * factor + dy]));
    const found = fromStrokes(moved, { canvasSide: 200 * factor });
    assert.ok(found.every((x, i) => Math.abs(x - expected[i]) < 1e-6));
  }
});

test("more points along the same lines change nothing", () => {
  const dense = SEVEN.map((stroke) =>
    stroke.flatMap(([x, y], i) => {
      const [u, v] = stroke[i + 1] ?? [x, y];
      return Array.from({ length: 40 }, (_, k) => [x + ((u - x) * k) / 40, y + ((v - y) * k) / 40]);
    }),
  );
  const expected = fromStrokes(SEVEN);
  assert.ok(fromStrokes(dense).every((x, i) => Math.abs(x - expected[i]) < 1e-6));
});

test("the centre of mass is at the middle, the larger side is 20 pixels", () => {
  const found = fromStrokes(SEVEN);
  for (const axis of [0, 1]) assert.ok(Math.abs(centreOf(found, axis) - 14) <= 0.5 + 1e-5);
  const rows = new Set(Array.from(found, (x, i) => (x > 0 ? Math.floor(i / 28) : -1)));
  rows.delete(-1);
  assert.equal(rows.size, 20);
});

for (const [what, strokes] of Object.entries({
  "nothing": [],
  "an empty stroke": [[]],
  "a dot": [[[50, 50]]],
  "a slip of two pixels on a canvas of 280": [[[50, 50], [52, 51]]],
})) {
  test(`${what} is no digit`, () => assert.equal(fromStrokes(strokes, { canvasSide: 280 }), null));
}

test("what is no stroke is refused by name", () => {
  assert.throws(() => fromStrokes([[[1, 2]], [[NaN, 3]]]), /strokes\[1\]: finite \[x, y\]/);
  assert.throws(() => fromStrokes([[[1, 2, 3]]]), /strokes\[0\]/);
});

test("the numbers of the contract are those of the Python half", () => {
  assert.deepEqual(CONTRACT, vectors.contract);
});

/** @type {(found: Float32Array | null, expected: number[] | null) => void} */
function agree(found, expected) {
  assert.equal(found === null, expected === null);
  expected?.forEach((x, i) => assert.ok(Math.abs(found[i] - x) <= vectors.tolerance, `at ${i}: ${x} expected, ${found[i]} found`));
}

for (const { name, strokes, canvas_side: canvasSide, pen, expected } of vectors.strokes) {
  test(`strokes become what Python makes of them: ${name}`, () => agree(fromStrokes(strokes, { canvasSide, pen }), expected));
}

for (const { name, width, height, rgba, expected } of vectors.pictures) {
  test(`a picture becomes what Python makes of it: ${name}`, () =>
    agree(fromPixels({ width, height, data: Uint8Array.from(rgba) }), expected));
}

test("a picture of a drawing is what the drawing is, dark on light, light on dark or on nothing", () => {
  const strokes = [[[30, 30], [90, 32], [60, 70], [50, 110]]];
  const kinds = {
    "dark on light": [[20, 20, 30, 255], [250, 250, 245, 255]],
    "light on dark": [[240, 240, 240, 255], [10, 10, 10, 255]],
    "black on nothing": [[0, 0, 0, 255], [0, 0, 0, 0]],
    "white on nothing": [[255, 255, 255, 255], [255, 255, 255, 0]],
  };
  const radius = (0.135 * 80) / 2;
  const expected = fromStrokes(strokes);
  for (const [kind, [ink, ground]] of Object.entries(kinds)) {
    const found = fromPixels(paint({ width: 140, height: 130, strokes, radius, ink, ground }));
    const mean = found.reduce((sum, x, i) => sum + Math.abs(x - expected[i]), 0) / 784;
    assert.ok(mean < 0.02, `${kind}: ${mean}`);
  }
});

test("an even picture shows no digit", () => {
  assert.equal(fromPixels({ width: 9, height: 7, data: new Uint8Array(4 * 63).fill(200) }), null);
});

test("what is no picture is refused", () => {
  assert.throws(() => fromPixels({ width: 3, height: 3, data: new Uint8Array(9) }), /picture: 3 x 3 RGBA/);
});
