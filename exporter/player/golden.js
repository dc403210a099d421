/**
 * Golden vectors: reads `golden.json`, hostile until checked, and makes the inputs again, bit for
 * bit those of `exporter/golden.py`, which describes the format. Both are pinned by
 * tests/vectors/golden.json.
 * @module
 */

import { BadBundle } from "./errors.js";
import { parseJson, want } from "./manifest.js";
import { arrayOf, sizeOf } from "./tensor.js";

/**
 * @typedef {import("./tensor.js").Tensor} Tensor
 *
 * @typedef {object} InputSpec
 * @property {string} name
 * @property {readonly number[]} shape Without the batch.
 * @property {string} dtype
 * @property {readonly [number, number]} range
 *
 * @typedef {object} OutputSpec
 * @property {string} name
 * @property {string} dtype
 * @property {string} meaning "probabilities" or "values"
 * @property {number} every Each how many-th number is stored.
 *
 * @typedef {{picture: number[]} | {noise: string} | {fill: number} |
 *   {blend: [string, string], t: number}} Recipe How a row's inputs are made.
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {string} kind "picture", "noise", "tie", "edge" or "nonfinite"
 * @property {Recipe} recipe
 * @property {boolean} checked False where no self-test may ask.
 * @property {readonly Float64Array[] | null} outputs The oracle's, rounded to float32; or left out.
 *
 * @typedef {object} Golden
 * @property {number} seed
 * @property {number} tolerance
 * @property {readonly InputSpec[]} inputs
 * @property {readonly OutputSpec[]} outputs
 * @property {readonly Row[]} rows
 */

const SCHEMA_VERSION = 1;
const KINDS = ["picture", "noise", "tie", "edge", "nonfinite"];
const DTYPES = ["float32", "int32", "bool"];
const RECIPES = /** @type {const} */ (["picture", "noise", "fill", "blend"]);
/** @type {Readonly<Record<string, number>>} */
const SPELLED = Object.freeze({ NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity });
const MAX_ROWS = 1024;
const MAX_NUMBERS = 2 ** 26;

/**
 * @param {string} text
 * @returns {Golden}
 * @throws {BadBundle} It names the place.
 */
export function parseGolden(text) {
  const document = want(parseJson(text, "golden.json"), "object", "golden.json");
  if (document.schema !== SCHEMA_VERSION) {
    throw new BadBundle(`golden.json: schema ${SCHEMA_VERSION} expected, ${document.schema} found`);
  }
  const inputs = want(document.inputs, "array", "inputs").map(readInput);
  const outputs = want(document.outputs, "array", "outputs").map(readOutput);
  const items = want(document.rows, "array", "rows");
  if (items.length > MAX_ROWS) {
    throw new BadBundle(`rows: at most ${MAX_ROWS} expected, ${items.length} found`);
  }
  for (const { name, shape } of inputs) {
    if (sizeOf(shape) * Math.max(1, items.length) > MAX_NUMBERS) {
      throw new BadBundle(`inputs: ${name}: at most ${MAX_NUMBERS} numbers expected`);
    }
  }
  const rows = items.map((/** @type {unknown} */ item, /** @type {number} */ i) =>
    readRow(item, `rows[${i}]`, inputs, outputs),
  );
  checkRows(rows);
  const tolerance = number(document.tolerance, "tolerance");
  if (tolerance <= 0) throw new BadBundle(`tolerance: a number above 0 expected, ${tolerance} found`);
  return { seed: want(document.seed, "count", "seed"), tolerance, inputs, outputs, rows };
}

/**
 * One tensor per model input, the rows first.
 * @param {Golden} golden
 * @param {readonly Row[]} rows
 * @returns {Tensor[]}
 */
export function makeInputs(golden, rows) {
  return golden.inputs.map((spec, index) => {
    const size = sizeOf(spec.shape);
    const data = new (arrayOf(spec.dtype))(rows.length * size);
    rows.forEach((row, i) => {
      // float64 until here; the typed array rounds, once.
      data.set(/** @type {any} */ (makeInput(golden, row.recipe, index)), i * size);
    });
    return { dtype: spec.dtype, shape: [rows.length, ...spec.shape], data };
  });
}

/**
 * @param {Golden} golden
 * @param {Recipe} recipe
 * @param {number} index
 * @returns {Float64Array}
 */
function makeInput(golden, recipe, index) {
  const spec = golden.inputs[index];
  const size = sizeOf(spec.shape);
  const [low, high] = spec.range;
  if ("noise" in recipe) return noise(golden.seed, recipe.noise, index, spec);
  if ("picture" in recipe) return Float64Array.from(recipe.picture, (k) => low + ((high - low) * k) / 255);
  if ("blend" in recipe) {
    const [a, b] = recipe.blend.map((name) => Float32Array.from(makeNamed(golden, name, index)));
    return Float64Array.from(a, (x, i) => x + (b[i] - x) * recipe.t);
  }
  if (spec.dtype === "float32") return new Float64Array(size).fill(recipe.fill);
  const inside = Number.isFinite(recipe.fill) ? Math.min(Math.max(recipe.fill, low), high) : low;
  return new Float64Array(size).fill(Math.floor(inside));
}

/**
 * What a blend names: a row that is no blend itself, or else some noise.
 * @param {Golden} golden
 * @param {string} name
 * @param {number} index
 */
function makeNamed(golden, name, index) {
  const row = golden.rows.find((candidate) => candidate.name === name && !("blend" in candidate.recipe));
  return makeInput(golden, row ? row.recipe : { noise: name }, index);
}

/**
 * Uniform in the input's range: mulberry32, seeded with the FNV-1a hash of "seed/name/index".
 * @param {number} seed
 * @param {string} name
 * @param {number} index
 * @param {InputSpec} spec
 * @returns {Float64Array}
 */
export function noise(seed, name, index, spec) {
  const [low, high] = spec.range;
  let state = fnv1a(`${seed}/${name}/${index}`);
  const units = Float64Array.from({ length: sizeOf(spec.shape) }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 8) / 2 ** 24;
  });
  if (spec.dtype === "float32") return units.map((unit) => low + (high - low) * unit);
  return units.map((unit) => low + Math.floor(unit * (high - low + 1)));
}

/** @param {string} text */
function fnv1a(text) {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) state = Math.imul(state ^ byte, 0x01000193);
  return state;
}

/** @type {(item: unknown, i: number) => InputSpec} */
function readInput(item, i) {
  const place = `inputs[${i}]`;
  const spec = want(item, "object", place);
  const shape = want(spec.shape, "array", `${place}.shape`);
  shape.forEach((/** @type {unknown} */ size) => {
    if (want(size, "count", `${place}.shape`) > MAX_NUMBERS) {
      throw new BadBundle(`${place}.shape: sizes expected, ${size} found`);
    }
  });
  const range = want(spec.range, "array", `${place}.range`);
  const [low, high] = range.map((/** @type {unknown} */ bound) => number(bound, `${place}.range`));
  if (range.length !== 2 || low > high) {
    throw new BadBundle(`${place}.range: smallest, then largest expected, ${range} found`);
  }
  return { name: want(spec.name, "string", `${place}.name`), shape, dtype: dtype(spec, place), range: [low, high] };
}

/** @type {(item: unknown, i: number) => OutputSpec} */
function readOutput(item, i) {
  const place = `outputs[${i}]`;
  const spec = want(item, "object", place);
  const every = want(spec.every ?? 1, "count", `${place}.every`);
  if (every < 1) throw new BadBundle(`${place}.every: a whole number above 0 expected, ${every} found`);
  return {
    name: want(spec.name, "string", `${place}.name`),
    dtype: dtype(spec, place),
    meaning: want(spec.meaning, "string", `${place}.meaning`),
    every,
  };
}

/** @type {(spec: Record<string, unknown>, place: string) => string} */
function dtype(spec, place) {
  const name = want(spec.dtype, "string", `${place}.dtype`);
  if (!DTYPES.includes(name)) throw new BadBundle(`${place}.dtype: one of ${DTYPES} expected, ${name} found`);
  return name;
}

/** @type {(item: unknown, place: string, inputs: InputSpec[], outputs: OutputSpec[]) => Row} */
function readRow(item, place, inputs, outputs) {
  const row = want(item, "object", place);
  const kind = want(row.kind, "string", `${place}.kind`);
  if (!KINDS.includes(kind)) throw new BadBundle(`${place}.kind: one of ${KINDS} expected, ${kind} found`);
  const checked = row.checked ?? true;
  if (typeof checked !== "boolean") throw new BadBundle(`${place}.checked: true or false expected`);
  const stored = row.outputs ?? null;
  return {
    name: want(row.name, "string", `${place}.name`),
    kind,
    checked,
    recipe: readRecipe(row, place, inputs),
    outputs: stored && readOutputs(stored, `${place}.outputs`, outputs),
  };
}

/** @type {(row: Record<string, any>, place: string, inputs: InputSpec[]) => Recipe} */
function readRecipe(row, place, inputs) {
  const found = RECIPES.filter((key) => key in row);
  if (found.length !== 1) {
    throw new BadBundle(`${place}: one of ${RECIPES} expected, ${found.join() || "none"} found`);
  }
  switch (found[0]) {
    case "picture":
      return { picture: readPicture(row.picture, `${place}.picture`, inputs) };
    case "noise":
      return { noise: want(row.noise, "string", `${place}.noise`) };
    case "fill":
      return { fill: spelled(row.fill, `${place}.fill`) };
    default:
      return readBlend(row, place);
  }
}

/** @type {(value: unknown, place: string, inputs: InputSpec[]) => number[]} */
function readPicture(value, place, inputs) {
  const steps = want(value, "array", place);
  if (inputs.length !== 1 || steps.length !== sizeOf(inputs[0].shape)) {
    throw new BadBundle(`${place}: it does not fill the only input`);
  }
  for (const step of steps) {
    if (want(step, "count", place) > 255) throw new BadBundle(`${place}: 0 to 255 expected, ${step} found`);
  }
  return steps;
}

/** @type {(row: Record<string, any>, place: string) => Recipe} */
function readBlend(row, place) {
  const names = want(row.blend, "array", `${place}.blend`);
  names.forEach((/** @type {unknown} */ name) => want(name, "string", `${place}.blend`));
  const t = number(row.t, `${place}.t`);
  if (names.length !== 2 || t < 0 || t > 1) {
    throw new BadBundle(`${place}: a blend of two names by 0 to 1 expected, ${names} by ${t} found`);
  }
  return { blend: names, t };
}

/** @type {(value: unknown, place: string, outputs: OutputSpec[]) => Float64Array[]} */
function readOutputs(value, place, outputs) {
  const stored = want(value, "array", place);
  if (stored.length !== outputs.length) {
    throw new BadBundle(`${place}: ${outputs.length} outputs expected, ${stored.length} found`);
  }
  return stored.map((/** @type {unknown} */ numbers, /** @type {number} */ i) =>
    Float64Array.from(want(numbers, "array", place), (/** @type {unknown} */ x) => {
      const value = spelled(x, place);
      return outputs[i].dtype === "float32" ? Math.fround(value) : value;
    }),
  );
}

/** @param {readonly Row[]} rows */
function checkRows(rows) {
  if (new Set(rows.map((row) => row.name)).size !== rows.length) {
    throw new BadBundle("rows: each name once expected, one is there twice");
  }
  const lengths = rows.flatMap((row) => (row.outputs ? [String(row.outputs.map((array) => array.length))] : []));
  if (new Set(lengths).size > 1) throw new BadBundle("rows: outputs of one size expected, several found");
}

/** @type {(value: unknown, place: string) => number} */
function spelled(value, place) {
  return typeof value === "string" && Object.hasOwn(SPELLED, value) ? SPELLED[value] : number(value, place);
}

/** @type {(value: unknown, place: string) => number} */
function number(value, place) {
  if (typeof value !== "number" || !(Math.abs(value) <= 3.5e38)) {
    throw new BadBundle(`${place}: a number expected, ${String(JSON.stringify(value)).slice(0, 40)} found`);
  }
  return value;
}
