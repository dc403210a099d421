/**
 * The picture of one unit and what it means: owns that figure of the page, knows no model.
 * @module
 */

import { mosaic, paint, strongest } from "./paint.js";

/** @typedef {import("../player/inspector.js").Kernels} Kernels */

/** A picture, the kernels that made it where it has some, and a caption. */
export class Figure {
  #picture;
  #kernels;
  #caption;

  /** @param {HTMLElement} figure */
  constructor(figure) {
    const [picture, kernels] = figure.querySelectorAll("canvas");
    this.#picture = picture;
    this.#kernels = kernels;
    this.#caption = /** @type {HTMLElement} */ (figure.querySelector("figcaption"));
  }

  /** @param {string} text */
  say(text) {
    this.#caption.textContent = text;
  }

  /** @param {boolean} isHidden */
  hide(isHidden) {
    this.#picture.hidden = isHidden;
    this.#kernels.hidden = true;
  }

  /** Nothing is drawn yet. @type {(side: number, hint: string) => void} */
  clear(side, hint) {
    this.#show(new Float32Array(side * side), side);
    this.say(hint);
  }

  /** @type {(weights: Float32Array, side: number, name: string, rest: string) => void} */
  showWeights(weights, side, name, rest) {
    this.#show(weights, side);
    this.#caption.replaceChildren("Ink on ", BLUE(), ` speaks for ${name}, ink on `, ORANGE(), ` against it${rest}`);
  }

  /** @type {(ink: Float32Array, side: number, name: string) => void} */
  showInk(ink, side, name) {
    this.#show(ink, side);
    this.#caption.replaceChildren("Ink on ", BLUE(), ` speaks for ${name}, ink on `, ORANGE(), " against it: without it the answer is less, or more, sure.");
  }

  /** @type {(name: string, values: Float32Array, width: number, kernels: Kernels | null) => void} */
  showMap(name, values, width, kernels) {
    this.#show(values, width, kernels);
    const most = strongest(values);
    this.#explain(most > 0 ? `${name}, ${most.toFixed(2)} where it is strongest` : name, kernels);
  }

  /** @type {(name: string, kernels: Kernels | null, said: string) => void} */
  showKernels(name, kernels, said) {
    this.#show(null, 1, kernels);
    this.#explain(name, kernels, said);
  }

  /** @type {(values: Float32Array | null, width: number, kernels?: Kernels | null) => void} */
  #show(values, width, kernels = null) {
    this.#picture.hidden = !values;
    if (values) paint(this.#picture, values, width);
    this.#kernels.hidden = !kernels;
    if (!kernels) return;
    const { values: tiles, width: across } = mosaic(kernels);
    paint(this.#kernels, tiles, across);
  }

  /** @type {(name: string, kernels: Kernels | null, said?: string) => void} */
  #explain(name, kernels, said = "") {
    if (!kernels) {
      this.say(`${name}: a sum of layers before it.${said}`);
      return;
    }
    const { count, height, width } = kernels;
    const size = `${height} × ${width}`;
    const each = height * width === 1 ? `${count} weights` : `${count} kernels of ${size}`;
    const made = count === 1 ? `kernel of ${size}` : `${each}, one for each map that it reads`;
    this.#caption.replaceChildren(`${name}, made by its ${made}: `, BLUE(), " adds, ", ORANGE(), ` takes away.${said}`);
  }
}

const BLUE = () => mark("for", "blue");
const ORANGE = () => mark("against", "orange");

/** @type {(className: string, text: string) => HTMLElement} */
function mark(className, text) {
  const node = document.createElement("b");
  node.className = className;
  node.textContent = text;
  return node;
}
