import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { BadBundle } from "../../exporter/player/errors.js";
import { makeInputs, parseGolden } from "../../exporter/player/golden.js";

const cases = JSON.parse(readFileSync(new URL("../vectors/golden.json", import.meta.url), "utf8"));
const hostile = JSON.parse(readFileSync(new URL("../vectors/golden-hostile.json", import.meta.url), "utf8"));

for (const { name, golden: document, inputs } of cases) {
  test(`inputs are made again bit for bit: ${name}`, () => {
    const golden = parseGolden(JSON.stringify(document));
    const made = makeInputs(golden, golden.rows);
    assert.equal(made.length, inputs.length);
    for (const [i, tensor] of made.entries()) {
      const size = tensor.data.byteLength / golden.rows.length;
      for (const [k, expected] of inputs[i].entries()) {
        const bytes = Buffer.from(tensor.data.buffer, k * size, size);
        assert.equal(bytes.toString("hex"), expected, `${golden.inputs[i].name} of ${golden.rows[k].name}`);
      }
    }
  });

  test(`spelled numbers are read: ${name}`, () => {
    const golden = parseGolden(JSON.stringify(document));
    assert.deepEqual(Array.from(golden.rows[0].outputs[0]), [0.25, NaN, -Infinity]);
  });
}

for (const { name, path, value, place } of hostile) {
  test(`a hostile file is refused: ${name}`, () => {
    const document = structuredClone(cases[0].golden);
    const last = path.pop();
    const parent = path.reduce((node, key) => node[key], document);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
    assert.throws(
      () => parseGolden(JSON.stringify(document)),
      (error) => error instanceof BadBundle && error.message.includes(place),
    );
  });
}

test("what is no JSON is refused", () => {
  for (const text of ["", "{", '{"schema": NaN}', "null", "[]"]) assert.throws(() => parseGolden(text), BadBundle);
});
