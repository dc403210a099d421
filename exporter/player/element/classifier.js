/**
 * A bundle's model as the element wants it: drawings in, one probability per class out. Owns what
 * a model must be to read drawings, and the progress of its files. Imports the player and ink.js.
 * @module
 */

import { BadInput } from "../errors.js";
import { load } from "../index.js";
import { CONTRACT, SIDE, fromStrokes } from "../ink.js";

/**
 * @typedef {import("../index.js").Model} Model
 * @typedef {import("./drawing.js").Line} Line
 *
 * @typedef {object} Progress
 * @property {string} path The file, relative to the manifest.
 * @property {number} loadedBytes
 * @property {number | null} totalBytes null where it is not known.
 *
 * @typedef {object} Answer
 * @property {string | null} label null where nothing was drawn.
 * @property {number[]} probabilities One per class; all 0 where nothing was drawn.
 * @property {number} latencyMs
 * @property {Float32Array} input The 784 values that the model saw.
 */

const NUMBERS = SIDE * SIDE;
const INK_RANGE = /** @type {const} */ ([0, 1]);
/** Of probabilities' sum, as eight bits of weights leave it. */
const SUM_ERROR = 1e-3;

/** A loaded model that reads drawings. */
export class Classifier {
  #model;
  #pen;
  #range;
  #areProbabilities;

  /**
   * @param {Model} model
   * @throws {BadInput} It does not read drawings.
   */
  constructor(model) {
    const { name, inputs, outputs, preprocessing } = model.info;
    const size = inputs[0]?.shape.slice(1).reduce((/** @type {number} */ product, one) => product * (one ?? 0), 1);
    if (inputs.length !== 1 || outputs.length !== 1 || size !== NUMBERS) {
      throw new BadInput(`${name}: one input of ${NUMBERS} numbers and one output expected, another model found`);
    }
    // A model of one's own says nothing of its preprocessing: MNIST's construction is the common one.
    const contract = /** @type {any} */ (preprocessing ?? CONTRACT);
    if (contract.name !== CONTRACT.name || contract.version !== CONTRACT.version) {
      const { name: found, version } = contract;
      throw new BadInput(`${name}: preprocessing ${CONTRACT.name} ${CONTRACT.version} expected, ${found} ${version} found`);
    }
    this.#model = model;
    this.#pen = contract.parameters?.pen;
    const range = inputs[0].range ?? INK_RANGE;
    // The exporter's own guess of floats is -1..1; who says nothing has pictures of 0..1, or 0..255.
    this.#range = preprocessing || range[0] >= 0 ? range : INK_RANGE;
    const count = outputs[0].shape.at(-1) ?? 0;
    if (count < 2) throw new BadInput(`${name}: an output with a number per class expected, shape ${JSON.stringify(outputs[0].shape)} found`);
    this.#areProbabilities = outputs[0].meaning === "probabilities";
    /** @type {readonly string[]} One per class. */
    this.labels = model.info.labels ?? Array.from({ length: count }, (_, i) => String(i));
  }

  get info() {
    return this.#model.info;
  }

  /**
   * @param {readonly Line[]} lines
   * @param {number} canvasSide
   * @returns {Promise<Answer>}
   */
  readStrokes(lines, canvasSide) {
    return this.#read(fromStrokes(lines.map((line) => line.points), { canvasSide, pen: this.#pen }));
  }

  /**
   * @param {import("../picture.js").Pixels} pixels
   * @returns {Promise<Answer>}
   */
  async readPicture(pixels) {
    // Few people give a picture: nobody else waits for what reads one.
    const { fromPixels } = await import("../picture.js");
    return this.#read(fromPixels(pixels));
  }

  /** @param {Float32Array | null} ink @returns {Promise<Answer>} */
  async #read(ink) {
    if (!ink) return nothing(this.labels.length);
    const [low, high] = this.#range;
    const input = low === 0 && high === 1 ? ink : ink.map((x) => low + x * (high - low));
    const begun = performance.now();
    const found = await this.#model.predict(input);
    const latencyMs = performance.now() - begun;
    const numbers = Array.from(/** @type {Float32Array} */ (found));
    const probabilities = this.#areProbabilities ? numbers : toProbabilities(numbers);
    const best = probabilities.indexOf(Math.max(...probabilities));
    return { label: this.labels[best], probabilities, latencyMs, input };
  }

  close() {
    return this.#model.close();
  }
}

/**
 * Of a model that is not known to end in an activation: the softmax that its loss has
 * (`from_logits`), unless it has taken it itself, as a subclassed model may.
 * @param {readonly number[]} numbers
 */
function toProbabilities(numbers) {
  const sum = numbers.reduce((total, number) => total + number, 0);
  if (Math.abs(sum - 1) < SUM_ERROR && numbers.every((number) => number >= 0)) return [...numbers];
  const most = Math.max(...numbers);
  const powers = numbers.map((number) => Math.exp(number - most));
  const total = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / total);
}

/** The answer where nothing was drawn. @param {number} classes @returns {Answer} */
export function nothing(classes) {
  return { label: null, probabilities: new Array(classes).fill(0), latencyMs: 0, input: new Float32Array(NUMBERS) };
}

/**
 * @param {string} src The manifest's address.
 * @param {import("../candidates.js").Choice} choice
 * @param {{signal: AbortSignal, onProgress: (progress: Progress) => void}} options
 * @returns {Promise<Classifier>}
 */
export async function openClassifier(src, choice, { signal, onProgress }) {
  // Drawings are for the class that is named, which 8 bits name as well, in a quarter of the bytes.
  const precision = choice.precision === "auto" ? "smallest" : choice.precision;
  const model = await load(new URL(src, document.baseURI), { ...choice, precision, signal, onProgress });
  try {
    return new Classifier(model);
  } catch (error) {
    await model.close();
    throw error;
  }
}
