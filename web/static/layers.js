/**
 * How the layers light up, and what a unit looks for. Owns that part of the page; knows the
 * player's inspector and nothing of strokes.
 * @module
 */

import { openInspector } from "../player/inspector.js";

const SIDE = 28;
/** Units of a row, so that a layer's block is about twice as wide as high. */
const COLUMNS = 16;
/** Both are legible on light and dark. */
const FOR = [47, 143, 214];
const AGAINST = [232, 116, 59];

/** The layers of the model that answers now. */
export class Layers {
  #section;
  #blocks;
  #canvas;
  #caption;
  /** @type {import("../player/inspector.js").Inspector | null} */
  #inspector = null;
  /** @type {readonly string[]} */
  #labels = [];
  /** @type {HTMLButtonElement[][]} */
  #cells = [];
  /** @type {{layer: number, unit: number} | null} */
  #chosen = null;
  #input = /** @type {Float32Array} */ (new Float32Array(SIDE * SIDE));
  #label = /** @type {string | null} */ (null);
  /** @type {Float32Array[]} */
  #answers = [];
  #opened = 0;

  /** @param {HTMLElement} section */
  constructor(section) {
    this.#section = section;
    this.#blocks = /** @type {HTMLElement} */ (section.querySelector(".layers"));
    this.#canvas = /** @type {HTMLCanvasElement} */ (section.querySelector(".unit canvas"));
    this.#caption = /** @type {HTMLElement} */ (section.querySelector("figcaption"));
    this.#blocks.addEventListener("click", (event) => this.#choose(/** @type {Element} */ (event.target)));
    this.#blocks.addEventListener("keydown", (event) => this.#move(event));
  }

  /**
   * Another model answers. One that cannot be looked into leaves the section empty, and says so.
   * @param {string} manifestUrl
   * @param {string} precision
   * @param {readonly string[] | null} labels
   */
  async open(manifestUrl, precision, labels) {
    const turn = ++this.#opened;
    this.#inspector = null;
    this.#chosen = null;
    let refusal = "";
    const inspector = await openInspector(manifestUrl, { precision }).catch((error) => {
      refusal = error.message;
      return null;
    });
    if (turn !== this.#opened) return;
    this.#inspector = inspector;
    this.#labels = labels ?? [];
    this.#build();
    this.#caption.textContent = inspector ? "" : `This model cannot be looked into: ${refusal}`;
    this.show(this.#input, this.#label);
  }

  /** No model answers. */
  close() {
    this.#opened++;
    this.#inspector = null;
    this.#chosen = null;
    this.#build();
    this.#caption.textContent = "";
  }

  /**
   * @param {Float32Array} input What the model saw.
   * @param {string | null} label What it answered; null for nothing.
   */
  show(input, label) {
    this.#input = input;
    this.#label = label;
    if (!this.#inspector) return;
    this.#answers = this.#inspector.look(input);
    this.#cells.forEach((cells, layer) => {
      const answers = this.#answers[layer];
      const most = Math.max(1e-9, ...answers);
      cells.forEach((cell, unit) => {
        const share = label === null ? 0 : Math.max(0, answers[unit] / most);
        cell.style.setProperty("--a", share.toFixed(3));
      });
      const active = label === null ? 0 : answers.filter((answer) => answer > 0).length;
      const count = this.#blocks.children[layer].querySelector("span");
      if (count) count.textContent = this.#isOutput(layer) ? "output" : `${active} of ${cells.length} units active`;
    });
    this.#showUnit();
  }

  #build() {
    const layers = this.#inspector?.layers ?? [];
    this.#cells = layers.map(({ name, units }, layer) =>
      Array.from({ length: units }, (_, unit) => this.#cellOf(name, layer, unit)),
    );
    this.#blocks.replaceChildren(
      ...layers.map(({ name }, layer) => {
        const title = document.createElement("p");
        const count = document.createElement("span");
        title.append(name, count);
        const grid = document.createElement("div");
        grid.className = this.#isOutput(layer) ? "units output" : "units";
        grid.setAttribute("role", "group");
        grid.setAttribute("aria-label", `Units of ${name}`);
        grid.append(...this.#cells[layer]);
        const block = document.createElement("div");
        block.append(title, grid);
        return block;
      }),
    );
    this.#canvas.hidden = layers.length === 0;
  }

  /** @type {(name: string, layer: number, unit: number) => HTMLButtonElement} */
  #cellOf(name, layer, unit) {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.dataset.layer = String(layer);
    cell.dataset.unit = String(unit);
    // One stop for the tab key in each layer; the arrow keys go on from there.
    cell.tabIndex = unit === 0 ? 0 : -1;
    const own = this.#isOutput(layer) ? (this.#labels[unit] ?? String(unit)) : "";
    cell.textContent = own;
    cell.setAttribute("aria-label", own ? `Output ${own}` : `Unit ${unit + 1} of ${name}`);
    return cell;
  }

  /** @param {number} layer */
  #isOutput(layer) {
    return layer === (this.#inspector?.layers.length ?? 0) - 1;
  }

  /** @param {Element} target */
  #choose(target) {
    const { layer, unit } = /** @type {HTMLElement} */ (target).dataset;
    if (layer === undefined || unit === undefined) return;
    const [a, b] = [Number(layer), Number(unit)];
    const again = this.#chosen?.layer === a && this.#chosen.unit === b;
    this.#chosen = again ? null : { layer: a, unit: b };
    this.#showUnit();
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { layer, unit } = /** @type {HTMLElement} */ (event.target).dataset;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
    if (layer === undefined || step === undefined) return;
    const next = this.#cells[Number(layer)][Number(unit) + step];
    if (!next) return;
    event.preventDefault();
    for (const cell of this.#cells[Number(layer)]) cell.tabIndex = cell === next ? 0 : -1;
    next.focus();
  }

  /** The chosen unit's weights; else those of the answer, else nothing. */
  #showUnit() {
    const inspector = this.#inspector;
    if (!inspector) return;
    const chosen = this.#chosen ?? this.#answered();
    this.#cells.flat().forEach((cell) => {
      const { layer, unit } = cell.dataset;
      const isChosen = chosen && Number(layer) === chosen.layer && Number(unit) === chosen.unit;
      cell.setAttribute("aria-pressed", String(Boolean(isChosen && this.#chosen)));
      cell.classList.toggle("chosen", Boolean(isChosen));
    });
    this.#section.classList.toggle("idle", !chosen);
    if (!chosen) {
      this.#paint(new Float32Array(SIDE * SIDE));
      this.#caption.textContent = "Draw, or choose a unit, to see what it looks for in the picture.";
      return;
    }
    const { layer, unit } = chosen;
    this.#paint(inspector.weightsOf(layer, unit, this.#answers));
    const isOutput = this.#isOutput(layer);
    const name = isOutput ? `the answer ${this.#labels[unit] ?? unit}` : `unit ${unit + 1} of ${inspector.layers[layer].name}`;
    const through = layer > 0 ? ", through the units that are active now" : "";
    const says = isOutput || this.#label === null ? "" : ` It says ${this.#answers[layer][unit].toFixed(2)}.`;
    this.#caption.replaceChildren("Ink on ", mark("for", "blue"), ` speaks for ${name}, ink on `, mark("against", "orange"), ` against it${through}.${says}`);
  }

  /** The output that was answered. */
  #answered() {
    const layer = this.#cells.length - 1;
    if (this.#label === null || layer < 0) return null;
    const answers = this.#answers[layer];
    return { layer, unit: answers.indexOf(Math.max(...answers)) };
  }

  /** @param {Float32Array} weights */
  #paint(weights) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
    const image = context.createImageData(SIDE, SIDE);
    const most = weights.reduce((max, weight) => Math.max(max, Math.abs(weight)), 1e-9);
    weights.forEach((weight, i) => {
      const [red, green, blue] = weight > 0 ? FOR : AGAINST;
      image.data.set([red, green, blue, (255 * Math.abs(weight)) / most], 4 * i);
    });
    context.putImageData(image, 0, 0);
  }
}

/** @type {(className: string, text: string) => HTMLElement} */
function mark(className, text) {
  const node = document.createElement("b");
  node.className = className;
  node.textContent = text;
  return node;
}
