import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHash, toHash } from "../../web/static/permalink.js";

const STROKES = [[[0, 0], [0.5, 1], [-0.25, 1.4]], [[0.123456, 0.654321]]];

test("a link holds the strokes to a thousandth of the canvas, also beyond its edges", () => {
  const { strokes } = fromHash(`#${toHash({ choice: {}, strokes: STROKES })}`);
  assert.deepEqual(strokes.map((stroke) => stroke.length), [3, 1]);
  strokes.flat().forEach(([x, y], i) => {
    const [u, v] = STROKES.flat()[i];
    assert.ok(Math.abs(x - u) < 1e-3 && Math.abs(y - v) < 1e-3);
  });
});

test("a link that is read and written again is the same", () => {
  const hash = toHash({ choice: { model: "mlp-128-64", runtime: "tfjs", backend: "wasm", precision: "uint8" }, strokes: STROKES, answer: "7 & more" });
  assert.equal(fromHash(hash).answer, "7 & more");
  assert.equal(toHash(fromHash(hash)), hash);
});

test("what is automatic is left out of the link", () => {
  assert.equal(toHash({ choice: { model: "m", runtime: "auto", backend: "auto", precision: "auto" }, strokes: [] }), "model=m");
});

test("an answer belongs to strokes", () => {
  assert.equal(toHash({ choice: { model: "m" }, strokes: [], answer: "7" }), "model=m");
  assert.equal(fromHash("#model=m").answer, null);
});

test("what is no link shows nothing and breaks nothing", () => {
  for (const hash of ["", "#", "#ink=!!!.", "#ink=%00&model=", "#x=y", "#ink=..."]) {
    assert.deepEqual(fromHash(hash).strokes, []);
  }
});
