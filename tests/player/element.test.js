import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Classifier } from "../../exporter/player/element/classifier.js";
import { Drawing } from "../../exporter/player/element/drawing.js";
import { CELLS, GridCursor } from "../../exporter/player/element/keyboard.js";
import { SAMPLE_COUNT, sampleOf } from "../../exporter/player/element/samples.js";

const FOLDER = new URL("../../exporter/player/element/", import.meta.url);
const source = (name) => readFileSync(new URL(name, FOLDER), "utf8");
const element = JSON.parse(source("custom-elements.json")).modules[0].declarations[0];
const names = (items) => items.map((item) => item.name).sort();
const found = (text, pattern) => [...new Set([...text.matchAll(pattern)].flatMap((match) => match[1].split(" ")))].sort();

/** A model of 784 numbers that always gives these. */
function modelOf(numbers, meaning) {
  const inputs = [{ name: "x", shape: [null, 28, 28], dtype: "float32", range: [0, 1] }];
  const outputs = [{ name: "y", shape: [null, numbers.length], dtype: "float32", meaning }];
  const info = { name: "some", inputs, outputs, labels: null, preprocessing: null };
  return { info, predict: async () => Float32Array.from(numbers), close: async () => {} };
}
const SEVEN = [{ points: [[80, 60], [200, 60], [120, 220]], pressures: null }];
// float32 logits of 700 come in steps of 6e-5.
const near = (found, expected) => found.every((x, i) => Math.abs(x - expected[i]) < 1e-4);

test("logits become probabilities, and what is one already stays", async () => {
  const read = async (numbers, meaning) => (await new Classifier(modelOf(numbers, meaning)).readStrokes(SEVEN, 280)).probabilities;
  const half = [0.25, 0.5, 0.25];
  assert.ok(near(await read(half.map((x) => 700 + Math.log(x)), "values"), half));
  // A subclassed model's softmax is not seen when it is exported.
  assert.ok(near(await read(half, "values"), half));
  assert.ok(near(await read([0.9, 0.9, 0.1], "probabilities"), [0.9, 0.9, 0.1]));
});

test("a model of one number names no class, and is refused", () => {
  assert.throws(() => new Classifier(modelOf([-0.4], "values")), /some: .* number per class expected, shape \[null,1\] found/);
});

test("docs/element.md is what custom-elements.json says", () => {
  execFileSync(process.execPath, [fileURLToPath(new URL("document.js", FOLDER)), "--check"]);
});

test("every part is documented, and every documented part is there", () => {
  const parts = found(source("view.js"), /part: [`"]([a-z ]+)(?: \$\{name\})?[`"]/g);
  assert.deepEqual(parts, names(element.cssParts));
});

test("every custom property is documented, and every documented one is there", () => {
  assert.deepEqual(found(source("style.js"), /var\((--digit-pad-[a-z]+)/g), names(element.cssProperties));
});

test("every event is documented, and every documented one is there", () => {
  assert.deepEqual(found(source("digit-pad.js"), /new CustomEvent\("(\w+)"/g), names(element.events));
});

test("every public member is documented, and every documented one is there", () => {
  const own = found(source("digit-pad.js") + source("attributes.js"), /^ {2}(?:get |async )?([a-z]+)\([a-z]*\) \{$/gm);
  const lifecycle = ["constructor"];
  assert.deepEqual(own.filter((name) => !lifecycle.includes(name)), names(element.members));
});

test("undo and redo walk through strokes; a new one forgets what was undone", () => {
  const drawing = new Drawing();
  const count = () => drawing.lines.length;
  drawing.add([[[0, 0], [1, 1]], [[2, 2]]]);
  assert.equal(count(), 2);
  drawing.undo();
  assert.equal(count(), 1);
  drawing.redo();
  assert.equal(count(), 2);
  drawing.undo();
  drawing.begin([5, 5], null);
  drawing.end();
  assert.equal(drawing.canRedo, false);
  drawing.redo();
  assert.deepEqual(drawing.lines.map((line) => line.points), [[[0, 0], [1, 1]], [[5, 5]]]);
});

test("what was cleared comes back", () => {
  const drawing = new Drawing();
  drawing.add([[[1, 2]]]);
  drawing.clear();
  assert.equal(drawing.isEmpty, true);
  drawing.undo();
  assert.equal(drawing.lines.length, 1);
});

test("a stroke that was interrupted leaves nothing, not even a step to undo", () => {
  const drawing = new Drawing();
  drawing.begin([1, 1], 0.5);
  drawing.extend([2, 2], 0.7);
  assert.equal(drawing.lines.length, 1);
  drawing.cancel();
  assert.equal(drawing.isEmpty, true);
  assert.equal(drawing.canUndo, false);
});

test("every change makes another version and is told once", () => {
  let told = 0;
  const drawing = new Drawing(() => told++);
  const versions = new Set([drawing.version]);
  const steps = [
    () => drawing.begin([0, 0], null), () => drawing.extend([1, 1], null), () => drawing.end(),
    () => drawing.undo(), () => drawing.redo(), () => drawing.clear(), () => drawing.undo(), () => drawing.scale(2),
  ];
  for (const step of steps) {
    step();
    versions.add(drawing.version);
  }
  assert.equal(versions.size, steps.length + 1);
  assert.equal(told, steps.length);
});

test("scaling changes what is undone and redone later, too", () => {
  const drawing = new Drawing();
  drawing.add([[[1, 2]], [[3, 4]]]);
  drawing.undo();
  drawing.scale(10);
  drawing.redo();
  assert.deepEqual(drawing.lines.map((line) => line.points), [[[10, 20]], [[30, 40]]]);
});

test("strokes that are none are refused, and nothing of them is kept", () => {
  const drawing = new Drawing();
  for (const wrong of [7, [[1, 2]], [[[1]]], [[[0, 0]], [[0, Infinity]]]]) assert.throws(() => drawing.add(wrong), TypeError);
  assert.equal(drawing.isEmpty, true);
});

test("the keyboard's cursor stays on the grid and draws only while its pen is down", () => {
  const heard = [];
  const cursor = new GridCursor(
    { begin: (point) => heard.push(["begin", ...point]), extend: (point) => heard.push(["extend", ...point]), end: () => heard.push(["end"]) },
    (column, row) => [column, row],
  );
  for (let i = 0; i < 2 * CELLS; i++) cursor.press("ArrowLeft");
  assert.equal(cursor.column, 0);
  cursor.press(" ");
  cursor.press("ArrowDown");
  cursor.press("Enter");
  assert.deepEqual(heard, [["begin", 0, 2], ["extend", 0, 3], ["end"]]);
  assert.equal(cursor.press("a"), null);
});

test("sample digits lie inside the canvas", () => {
  for (let digit = 0; digit < SAMPLE_COUNT; digit++) {
    for (const [x, y] of sampleOf(digit, 300).flat()) assert.ok(x > 15 && x < 285 && y > 15 && y < 285, `${digit}: ${x}, ${y}`);
  }
});
