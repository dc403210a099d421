/**
 * How the layers light up, and what a unit looks for. Owns that part of the page; knows the
 * player's inspector and nothing of strokes.
 * @module
 */

import { openInspector } from "../player/inspector.js";
import { blockOf, cellOf, chooserOf, columnsOf } from "./blocks.js";
import { Figure } from "./figure.js";
import { paint, strongest } from "./paint.js";

const SIDE = 28;
/** So long a hand rests before many pictures are asked about. */
const REST_MS = 250;

/**
 * @typedef {import("../player/inspector.js").Inspector} Inspector
 * @typedef {import("../player/inspector.js").MapInspector} MapInspector
 */

/** The layers of the model that answers now. */
export class Layers {
  #section;
  #blocks;
  #figure;
  /** @type {Inspector | MapInspector | null} */
  #inspector = null;
  /** @type {readonly string[]} */
  #labels = [];
  /** Of every layer; those of one that is not shown are none. @type {HTMLButtonElement[][]} */
  #cells = [];
  /** Of the layers that are shown: what stands beside the name. @type {Map<number, HTMLElement>} */
  #counts = new Map();
  /** The layer whose maps are shown, where all together would be too many. */
  #layer = 0;
  /** @type {{layer: number, unit: number} | null} */
  #chosen = null;
  #input = /** @type {Float32Array} */ (new Float32Array(SIDE * SIDE));
  #label = /** @type {string | null} */ (null);
  /** @type {Float32Array[]} */
  #answers = [];
  #opened = 0;
  #isLooking = false;
  #looksAgain = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting;

  /** @param {HTMLElement} section */
  constructor(section) {
    this.#section = section;
    this.#blocks = /** @type {HTMLElement} */ (section.querySelector(".layers"));
    this.#figure = new Figure(/** @type {HTMLElement} */ (section.querySelector(".unit")));
    this.#blocks.addEventListener("click", (event) => this.#choose(/** @type {Element} */ (event.target)));
    this.#blocks.addEventListener("keydown", (event) => this.#move(event));
  }

  /**
   * Another model answers. One that cannot be looked into leaves the section empty, and says so.
   * @param {string} manifestUrl
   * @param {{precision: string, runtime: string, backend: string, labels: readonly string[] | null}} info
   */
  async open(manifestUrl, { precision, runtime, backend, labels }) {
    const turn = ++this.#opened;
    this.#forget();
    let refusal = "";
    // Maps are looked at where TF.js answers already, or else where it needs nothing more.
    const where = runtime === "tfjs" ? backend : "cpu";
    const inspector = await openInspector(manifestUrl, { precision, backend: where }).catch((error) => {
      refusal = error.message;
      return null;
    });
    if (turn !== this.#opened) {
      release(inspector);
      return;
    }
    this.#inspector = inspector;
    this.#labels = labels ?? [];
    this.#layer = 0;
    this.#build();
    this.#figure.say(inspector ? "" : `This model cannot be looked into: ${refusal}`);
    this.show(this.#input, this.#label);
  }

  /** No model answers. */
  close() {
    this.#opened++;
    this.#forget();
    this.#build();
    this.#figure.say("");
  }

  #forget() {
    clearTimeout(this.#resting);
    release(this.#inspector);
    this.#inspector = null;
    this.#chosen = null;
    this.#answers = [];
  }

  /**
   * @param {Float32Array} input What the model saw.
   * @param {string | null} label What it answered; null for nothing.
   */
  show(input, label) {
    this.#input = input;
    this.#label = label;
    if (this.#isLooking) this.#looksAgain = true;
    else void this.#look();
  }

  /** Look, and once more if a newer picture came meanwhile: a hand draws faster than TF.js answers. */
  async #look() {
    const inspector = this.#inspector;
    if (!inspector) return;
    this.#isLooking = true;
    try {
      const answers = await inspector.look(this.#input);
      if (inspector === this.#inspector) {
        this.#answers = answers;
        this.#light();
        this.#showUnit();
      }
    } catch (error) {
      this.#fail(inspector, error);
    } finally {
      this.#isLooking = false;
    }
    if (this.#looksAgain || inspector !== this.#inspector) {
      this.#looksAgain = false;
      await this.#look();
    }
  }

  #light() {
    this.#cells.forEach((cells, layer) => {
      if (cells.length === 0) return;
      const answers = this.#answers[layer];
      const { units, map } = this.#layers()[layer];
      if (map) {
        const most = strongest(answers);
        cells.forEach((cell, unit) => {
          const values = this.#label === null ? new Float32Array(map.height * map.width) : this.#mapOf(layer, unit);
          paint(/** @type {HTMLCanvasElement} */ (cell.firstChild), values, map.width, most);
        });
      } else {
        const most = Math.max(1e-9, ...answers);
        cells.forEach((cell, unit) => {
          const share = this.#label === null ? 0 : Math.max(0, answers[unit] / most);
          cell.style.setProperty("--a", share.toFixed(3));
        });
      }
      const count = this.#counts.get(layer);
      if (count) count.textContent = this.#isOutput(layer) ? "output" : `${this.#activeOf(layer)} of ${units} ${this.#isSelected(layer) ? "" : "units "}active`;
    });
  }

  /** Units above zero; maps that are so anywhere. @param {number} layer */
  #activeOf(layer) {
    if (this.#label === null) return 0;
    const { units } = this.#layers()[layer];
    return new Set([...this.#answers[layer].keys()].filter((i) => this.#answers[layer][i] > 0).map((i) => i % units)).size;
  }

  #build() {
    const layers = this.#layers();
    const shown = layers.map((_, layer) => layer).filter((layer) => !this.#isSelected(layer) || layer === this.#layer);
    this.#counts.clear();
    this.#cells = layers.map(({ units }, layer) =>
      shown.includes(layer) ? Array.from({ length: units }, (_, unit) => cellOf(layers[layer], layer, unit, this.#ownName(layer, unit))) : [],
    );
    const blocks = shown.map((layer) => {
      const title = this.#isSelected(layer) ? chooserOf(layers.slice(0, -1), layer, (chosen) => this.#turnTo(chosen)) : layers[layer].name;
      return blockOf(layers[layer], title, this.#cells[layer], this.#isOutput(layer));
    });
    blocks.forEach(({ count }, i) => this.#counts.set(shown[i], count));
    this.#blocks.replaceChildren(...blocks.map(({ block }) => block));
    this.#figure.hide(layers.length === 0);
  }

  /** Show another layer above the output. @param {number} layer */
  #turnTo(layer) {
    this.#layer = layer;
    this.#chosen = null;
    this.#build();
    this.#light();
    this.#showUnit();
    this.#blocks.querySelector("select")?.focus();
  }

  /** An output's label; other units have none. @type {(layer: number, unit: number) => string} */
  #ownName(layer, unit) {
    return this.#isOutput(layer) ? (this.#labels[unit] ?? String(unit)) : "";
  }

  /** @returns {readonly import("../player/inspector.js").MapLayer[]} */
  #layers() {
    return this.#inspector?.layers ?? [];
  }

  /** Chosen among others, where it is said already what it has. @param {number} layer */
  #isSelected(layer) {
    return !this.#isOutput(layer) && this.#layers().some(({ map }) => map);
  }

  /** @param {number} layer */
  #isOutput(layer) {
    return layer === this.#layers().length - 1;
  }

  /** @type {(layer: number, unit: number) => Float32Array} */
  #mapOf(layer, unit) {
    return /** @type {MapInspector} */ (this.#inspector).mapOf(layer, unit, this.#answers);
  }

  /** @param {Element} target */
  #choose(target) {
    const { layer, unit } = /** @type {HTMLElement | null} */ (target.closest("button"))?.dataset ?? {};
    if (layer === undefined || unit === undefined) return;
    const [a, b] = [Number(layer), Number(unit)];
    const again = this.#chosen?.layer === a && this.#chosen.unit === b;
    this.#chosen = again ? null : { layer: a, unit: b };
    this.#showUnit();
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const { layer, unit } = /** @type {HTMLElement} */ (event.target).dataset;
    if (layer === undefined) return;
    const columns = columnsOf(this.#layers()[Number(layer)]);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step === undefined) return;
    const next = this.#cells[Number(layer)][Number(unit) + step];
    if (!next) return;
    event.preventDefault();
    for (const cell of this.#cells[Number(layer)]) cell.tabIndex = cell === next ? 0 : -1;
    next.focus();
  }

  /** What the chosen unit looks for; else the answer's, else nothing. */
  #showUnit() {
    const inspector = this.#inspector;
    if (!inspector || this.#answers.length === 0) return;
    const chosen = this.#chosen ?? this.#answered();
    this.#cells.flat().forEach((cell) => {
      const { layer, unit } = cell.dataset;
      const isChosen = chosen && Number(layer) === chosen.layer && Number(unit) === chosen.unit;
      cell.setAttribute("aria-pressed", String(Boolean(isChosen && this.#chosen)));
      cell.classList.toggle("chosen", Boolean(isChosen));
    });
    this.#section.classList.toggle("idle", !chosen);
    clearTimeout(this.#resting);
    if (!chosen) {
      this.#figure.clear(SIDE, `Draw, or choose a ${inspector.layers[0].map ? "map" : "unit"}, to see what it looks for in the picture.`);
    } else if (!("weightsOf" in inspector)) {
      this.#showInMaps(inspector, chosen);
    } else {
      const { layer, unit } = chosen;
      const name = this.#isOutput(layer) ? `the answer ${this.#labels[unit] ?? unit}` : `unit ${unit + 1} of ${inspector.layers[layer].name}`;
      const through = layer > 0 ? ", through the units that are active now" : "";
      this.#figure.showWeights(inspector.weightsOf(layer, unit, this.#answers), SIDE, name, `${through}.${this.#said(layer, unit)}`);
    }
  }

  /** What it says now, for people. @type {(layer: number, unit: number) => string} */
  #said(layer, unit) {
    return this.#isOutput(layer) || this.#label === null ? "" : ` It says ${this.#answers[layer][unit].toFixed(2)}.`;
  }

  /** @type {(inspector: MapInspector, chosen: {layer: number, unit: number}) => void} */
  #showInMaps(inspector, { layer, unit }) {
    if (this.#isOutput(layer)) {
      this.#resting = setTimeout(() => void this.#showInk(inspector, unit), REST_MS);
      return;
    }
    const { name, map } = inspector.layers[layer];
    const values = map && (this.#label === null ? new Float32Array(map.height * map.width) : this.#mapOf(layer, unit));
    const kernels = inspector.kernelsOf(layer, unit);
    if (map && values) this.#figure.showMap(`Map ${unit + 1} of ${name}`, values, map.width, kernels);
    else this.#figure.showKernels(`Unit ${unit + 1} of ${name}`, kernels, this.#said(layer, unit));
  }

  /** Which ink the answer rests on. @type {(inspector: MapInspector, unit: number) => Promise<void>} */
  async #showInk(inspector, unit) {
    const input = this.#input;
    try {
      const ink = await inspector.inkOf(unit, input, SIDE);
      const chosen = this.#chosen ?? this.#answered();
      // Another picture, model or unit by now: it is shown on its own.
      const isWanted = inspector === this.#inspector && input === this.#input && chosen?.unit === unit && this.#isOutput(chosen.layer);
      if (isWanted) this.#figure.showInk(ink, SIDE, `the answer ${this.#labels[unit] ?? unit}`);
    } catch (error) {
      this.#fail(inspector, error);
    }
  }

  /** One that was closed while it was looked into has nothing to say. @type {(inspector: Inspector | MapInspector, error: unknown) => void} */
  #fail(inspector, error) {
    if (inspector === this.#inspector) this.#figure.say(`Looking inside failed: ${error instanceof Error ? error.message : error}`);
  }

  /** The output that was answered. */
  #answered() {
    const layer = this.#cells.length - 1;
    if (this.#label === null || layer < 0) return null;
    const answers = this.#answers[layer];
    return { layer, unit: answers.indexOf(Math.max(...answers)) };
  }
}

/** @param {Inspector | MapInspector | null} inspector */
function release(inspector) {
  if (inspector && "close" in inspector) void inspector.close();
}
