/**
 * Does this artefact, in this runtime, on this machine, give the stored answers? The gates are
 * those of `exporter/gates.py`, wide enough for a GPU.
 * @module
 */

import { makeInputs } from "./golden.js";

/**
 * @typedef {import("./golden.js").Golden} Golden
 * @typedef {import("./golden.js").Row} Row
 * @typedef {import("./golden.js").OutputSpec} OutputSpec
 * @typedef {import("./tensor.js").Tensor} Tensor
 *
 * @typedef {object} SelfTest
 * @property {boolean} passed
 * @property {string} reason Empty where it passed.
 * @property {number} rows How many were compared.
 * @property {number} maxError Largest absolute error; of values in units of the row's largest.
 * @property {Readonly<Pictures>} pictures What of it concerns drawn pictures alone: noise, near
 *   ties and edge inputs are harder than anything that people draw.
 *
 * @typedef {object} Pictures
 * @property {number} rows
 * @property {number} sameAnswers On how many each output's largest number is in the same place.
 * @property {number} maxError
 */

/** A page must not wait longer for a big model; at least one batch is always compared. */
const BUDGET_MS = 2000;
const BATCH = 16;

/** Absolute error by precision; null: only the top-1 answer is asked for, beyond the margin. */
const GATES = /** @type {Record<string, {error: number | null, margin: number}>} */ ({
  float16: { error: 2e-2, margin: 2e-2 },
  uint16: { error: 2e-3, margin: 2e-3 },
  uint8: { error: null, margin: 0.1 },
  int8: { error: null, margin: 0.1 },
  "int8-static": { error: null, margin: 0.1 },
});
/** Values have no top-1 answer that counts for 8 bits: this share of the row's largest instead. */
const ERROR_OF_8_BITS = 0.1;

/**
 * @param {import("./runtimes/index.js").Session} session
 * @param {Golden} golden
 * @param {import("./manifest.js").Manifest} manifest
 * @param {string} precision
 * @returns {Promise<SelfTest>}
 */
export async function selfTest(session, golden, manifest, precision) {
  const rows = golden.rows.filter((row) => row.checked && row.outputs);
  const gate = GATES[precision] ?? { error: golden.tolerance, margin: golden.tolerance };
  // int8 measures ranges over the batch: one at a time, as in the parity runs.
  const fixed = manifest.inputs[0]?.shape[0] ?? (precision.startsWith("int8") ? 1 : null);
  const size = fixed ?? BATCH;
  const begun = performance.now();
  let compared = 0;
  let maxError = 0;
  const pictures = { rows: 0, sameAnswers: 0, maxError: 0 };
  while (compared < rows.length && (compared === 0 || performance.now() - begun < BUDGET_MS)) {
    const part = rows.slice(compared, compared + size);
    const filled = fixed ? Array.from({ length: size }, (_, i) => part[i % part.length]) : part;
    const found = await session.predict(makeInputs(golden, filled));
    for (const [i, row] of part.entries()) {
      const { fault, error, isSame } = compareRow(golden.outputs, row, found, i, filled.length, gate);
      if (fault) return { passed: false, reason: `golden row ${row.name}: ${fault}`, rows: compared, maxError: error, pictures };
      maxError = Math.max(maxError, error);
      compared++;
      if (row.kind === "picture") count(pictures, error, isSame);
    }
  }
  const passed = compared > 0;
  return { passed, reason: passed ? "" : "no golden rows to compare", rows: compared, maxError, pictures };
}

/** @type {(pictures: Pictures, error: number, isSame: boolean) => void} */
function count(pictures, error, isSame) {
  pictures.rows++;
  pictures.sameAnswers += Number(isSame);
  pictures.maxError = Math.max(pictures.maxError, error);
}

/**
 * @param {readonly OutputSpec[]} specs
 * @param {Row} row
 * @param {readonly Tensor[]} found
 * @param {number} place The row's place in the batch.
 * @param {number} count Rows in the batch.
 * @param {{error: number | null, margin: number}} gate
 * @returns {{fault: string, error: number, isSame: boolean}}
 */
function compareRow(specs, row, found, place, count, gate) {
  const expected = /** @type {readonly Float64Array[]} */ (row.outputs);
  if (found.length !== specs.length) {
    return { fault: `${specs.length} outputs expected, ${found.length} found`, error: Infinity, isSame: false };
  }
  let error = 0;
  let isSame = true;
  for (const [i, spec] of specs.entries()) {
    const size = found[i].data.length / count;
    if (Math.ceil(size / spec.every) !== expected[i].length) {
      return { fault: `${spec.name}: another size than ${found[i].shape} expected`, error: Infinity, isSame: false };
    }
    const all = Array.from(found[i].data.subarray(place * size, (place + 1) * size), Number);
    const numbers = all.filter((_, k) => k % spec.every === 0);
    const one = compareOutput(spec, expected[i], numbers, gate);
    if (one.fault) return { fault: `${spec.name}: ${one.fault}`, error: one.error, isSame: false };
    error = Math.max(error, one.error);
    isSame &&= topTwo(numbers)[0] === topTwo(expected[i])[0];
  }
  return { fault: "", error, isSame };
}

/**
 * @param {OutputSpec} spec
 * @param {Float64Array} expected
 * @param {readonly number[]} found
 * @param {{error: number | null, margin: number}} gate
 * @returns {{fault: string, error: number}}
 */
function compareOutput(spec, expected, found, gate) {
  const probabilities = spec.meaning === "probabilities";
  const scale = probabilities ? 1 : expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  const error = expected.reduce((most, x, i) => {
    const difference = Math.abs(x - found[i]) / scale;
    // NaN is never close to a number.
    return difference <= most ? most : Number.isNaN(difference) ? Infinity : difference;
  }, 0);
  const whole = spec.dtype !== "float32";
  const allowed = whole && gate.error !== null ? 0 : (gate.error ?? (probabilities ? 1 : ERROR_OF_8_BITS));
  if (error > allowed) return { fault: `off by ${error.toPrecision(3)}, ${allowed} allowed`, error };
  if (probabilities && spec.every === 1) {
    const [first, second] = topTwo(expected);
    const answer = topTwo(found)[0];
    if (expected[first] - (expected[second] ?? 0) > gate.margin && answer !== first) {
      return { fault: `answer ${first} expected, ${answer} found`, error };
    }
  }
  return { fault: "", error };
}

/**
 * @param {ArrayLike<number>} numbers
 * @returns {[number, number]} Places of the largest and the second largest.
 */
function topTwo(numbers) {
  const order = Array.from(numbers, (_, i) => i).sort((a, b) => numbers[b] - numbers[a]);
  return [order[0], order[1]];
}
