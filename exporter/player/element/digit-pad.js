/**
 * `<digit-pad src="…/manifest.json">`: a canvas to draw a digit on, and a model's answer while one
 * draws. What it offers to pages is written down in custom-elements.json, and nowhere else.
 * Owns the element's life, its history and its events; the parts are the modules beside it.
 * @module
 */

import { messageOf } from "../errors.js";
import { ATTRIBUTES, CHOICES, ModelElement } from "./attributes.js";
import { nothing } from "./classifier.js";
import { Connection } from "./connection.js";
import { Drawing } from "./drawing.js";
import { CELLS, GridCursor } from "./keyboard.js";
import { followPen } from "./pen.js";
import { SAMPLE_COUNT, sampleOf } from "./samples.js";
import { styleSheet } from "./style.js";
import { Surface } from "./surface.js";
import { View } from "./view.js";

/**
 * @typedef {import("./classifier.js").Answer} Answer
 * @typedef {import("./classifier.js").Classifier} Classifier
 *
 * @typedef {Answer & {runtime: string, backend: string, precision: string}} Prediction
 * @typedef {readonly (readonly (readonly number[])[])[]} Strokes
 */

export class DigitPad extends ModelElement {
  static observedAttributes = ATTRIBUTES;

  #drawing = new Drawing(() => this.#changed());
  #view;
  #surface;
  #cursor;
  #resizes = new ResizeObserver(() => this.#resize());
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #lastSide = 0;
  #connection = new Connection({
    opened: (classifier) => this.#opened(classifier),
    failed: (error) => this.#failed(error),
    progressed: (progress) => this.#tellProgress(progress),
  });
  /** @type {{version: number, result: Promise<Prediction>} | null} */
  #latest = null;
  #isFrameAsked = false;
  #isAnswering = false;
  /** @type {import("../picture.js").Pixels | null} Read instead of strokes, until there are some. */
  #picture = null;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [styleSheet()];
    this.#view = new View(root, {
      undo: () => this.undo(),
      redo: () => this.redo(),
      clear: () => this.clear(),
      sample: (digit) => this.#drawSample(digit),
    }, SAMPLE_COUNT);
    this.#surface = new Surface(this.#view.canvas);
    followPen(this.#view.canvas, this.#drawing);
    this.#cursor = new GridCursor(this.#drawing, (column, row) => this.#placeOf(column, row));
    root.addEventListener("keydown", (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
    this.#view.canvas.addEventListener("focusout", () => this.#cursor.lift());
  }

  connectedCallback() {
    this.takeEarlier([...ATTRIBUTES, "strokes"]);
    this.#resizes.observe(this.#view.canvas);
    this.#scheme.addEventListener("change", this.#redraw);
    this.#changed();
    this.#load();
  }

  disconnectedCallback() {
    this.#resizes.disconnect();
    this.#scheme.removeEventListener("change", this.#redraw);
    // Moved within the page it is connected again at once, and keeps its model.
    queueMicrotask(() => {
      if (!this.isConnected) this.#unload();
    });
  }

  /** @type {(name: string, before: string | null, after: string | null) => void} */
  attributeChangedCallback(_, before, after) {
    if (before === after) return;
    this.#unload();
    // Several attributes may be set one after another.
    queueMicrotask(() => this.isConnected && this.#load());
  }

  /** @returns {number[][][]} A copy: strokes of [x, y] in CSS pixels of the canvas. */
  get strokes() {
    return this.#drawing.lines.map(({ points }) => points.map((point) => [...point]));
  }

  set strokes(strokes) {
    this.#drawing.clear();
    this.draw(strokes);
  }

  /** Adds strokes, as if they were drawn. @param {Strokes} strokes */
  draw(strokes) {
    this.#drawing.add(strokes);
  }

  clear() {
    this.#forgetPicture();
    this.#drawing.clear();
  }

  undo() {
    this.#drawing.undo();
  }

  redo() {
    this.#drawing.redo();
  }

  /**
   * The answer for what is drawn now.
   * @returns {Promise<Prediction>}
   */
  predict() {
    const { version } = this.#drawing;
    if (this.#latest?.version !== version) {
      const latest = { version, result: this.#answer() };
      // What failed is asked again: the next model may answer.
      latest.result.catch(() => this.#latest === latest && (this.#latest = null));
      this.#latest = latest;
    }
    return this.#latest.result;
  }

  /**
   * The answer for a picture of a digit; what is drawn is cleared.
   * @param {import("../picture.js").Pixels} pixels `ImageData`, or what is like it.
   * @returns {Promise<Prediction>}
   */
  read(pixels) {
    this.clear();
    this.#picture = pixels;
    this.#latest = null;
    this.#redraw();
    return this.predict();
  }

  /** @returns {Promise<Prediction>} */
  async #answer() {
    // What is drawn now, whatever is drawn while the model is loading.
    const [lines, side, picture] = [this.#drawing.lines, this.#surface.side, this.#picture];
    const isEmpty = lines.length === 0 && !picture;
    for (;;) {
      const wanted = this.#ready();
      // Another model may be wanted by now: then that one answers. One that was removed does not.
      const isOver = () => wanted === this.#connection.classifier || !this.isConnected;
      try {
        const classifier = await wanted;
        const answer = picture ? await classifier.readPicture(picture) : await classifier.readStrokes(lines, side);
        if (isOver()) return this.#tell(answer, classifier.info, isEmpty);
      } catch (error) {
        if (isOver()) throw error;
      }
    }
  }

  /** @type {(answer: Answer, info: import("../index.js").Info, isEmpty: boolean) => Prediction} */
  #tell(answer, { runtime, backend, precision }, isEmpty) {
    const prediction = { ...answer, runtime, backend, precision };
    this.#view.showAnswer(answer, isEmpty);
    this.#view.showRun(prediction);
    this.dispatchEvent(new CustomEvent("prediction", { detail: prediction, bubbles: true, composed: true }));
    return prediction;
  }

  #forgetPicture() {
    if (!this.#picture) return;
    this.#picture = this.#latest = null;
    this.#changed();
  }

  /**
   * @returns {Promise<Classifier>}
   * @throws {TypeError} None is named.
   */
  #ready() {
    this.#load();
    const { classifier } = this.#connection;
    if (!classifier) throw new TypeError("digit-pad: src expected, nothing found");
    return classifier;
  }

  /** Once for each `src` and choice. */
  #load() {
    if (this.#connection.classifier || !this.src) return;
    this.#view.showStatus("Loading the model");
    this.#connection.open(this.src, Object.fromEntries(CHOICES.map((name) => [name, this[name]])));
    this.#latest = null;
  }

  #unload() {
    this.#connection.close();
    this.#latest = null;
  }

  /** @param {Classifier} classifier */
  #opened(classifier) {
    this.#view.setLabels(classifier.labels);
    this.#view.showRun(classifier.info);
    this.dispatchEvent(new CustomEvent("load", { detail: classifier.info }));
    this.#changed();
  }

  /** @param {unknown} error */
  #failed(error) {
    // What another model answered before is not this one's answer.
    this.#view.showAnswer(nothing(this.#view.classes), true);
    this.#view.showStatus(`The model cannot be used: ${messageOf(error)}`, true);
    this.dispatchEvent(new CustomEvent("error", { detail: { error, message: messageOf(error) } }));
  }

  /** @param {import("./classifier.js").Progress} progress */
  #tellProgress(progress) {
    const { path, loadedBytes, totalBytes } = progress;
    const share = totalBytes ? `${Math.floor((100 * loadedBytes) / totalBytes)}%` : `${Math.ceil(loadedBytes / 1000)} kB`;
    this.#view.showStatus(`Loading ${path}: ${share}`);
    this.dispatchEvent(new CustomEvent("progress", { detail: progress }));
  }

  /** Something was drawn or taken away: shown and answered with the next frame. */
  #changed() {
    if (!this.#drawing.isEmpty) this.#picture = null;
    if (!this.#isFrameAsked && this.isConnected) {
      this.#isFrameAsked = true;
      requestAnimationFrame(() => this.#answerLive());
    }
  }

  /** One answer at a time: a slow model must not fall behind the hand. */
  async #answerLive() {
    this.#isFrameAsked = false;
    this.#redraw();
    if (this.#isAnswering || !this.#connection.classifier) return;
    this.#isAnswering = true;
    const { version } = this.#drawing;
    try {
      await this.predict();
    } catch (error) {
      // A model that did not load has said so itself.
      if (await this.#isLoaded()) this.#view.showStatus(`No answer: ${messageOf(error)}`, true);
      return;
    } finally {
      this.#isAnswering = false;
    }
    if (version !== this.#drawing.version) this.#changed();
  }

  async #isLoaded() {
    return (await this.#connection.classifier?.then(() => true, () => false)) ?? false;
  }

  #redraw = () => {
    this.#surface.show(this.#drawing.lines, this.#cursor);
    const { isEmpty, canUndo, canRedo } = this.#drawing;
    this.#view.showDrawing({ isEmpty: isEmpty && !this.#cursor.isShown && !this.#picture, canUndo, canRedo });
  };

  #resize() {
    const { side } = this.#surface;
    if (this.#lastSide > 0 && side > 0 && side !== this.#lastSide) this.#drawing.scale(side / this.#lastSide);
    if (side > 0) this.#lastSide = side;
    this.#redraw();
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const { key, altKey, shiftKey } = event;
    const command = event.ctrlKey || event.metaKey;
    const letter = key.toLowerCase();
    if (command && !altKey && letter === "z") (shiftKey ? this.redo() : this.undo());
    else if (command && !altKey && letter === "y") this.redo();
    else if (key === "Escape") this.clear();
    else if (command || altKey || event.composedPath()[0] !== this.#view.canvas || !this.#moveCursor(key)) return;
    event.preventDefault();
  }

  /** @param {string} key */
  #moveCursor(key) {
    const said = this.#cursor.press(key);
    if (said === null) return false;
    this.#redraw();
    this.#view.say(said, 0);
    return true;
  }

  /** @type {(column: number, row: number) => [number, number]} */
  #placeOf(column, row) {
    const cell = this.#surface.side / CELLS;
    return [(column + 0.5) * cell, (row + 0.5) * cell];
  }

  /** @param {number} digit */
  #drawSample(digit) {
    this.clear();
    this.draw(sampleOf(digit, this.#surface.side));
  }
}

if (!customElements.get("digit-pad")) customElements.define("digit-pad", DigitPad);
