/**
 * The only module that puts strokes on a canvas, for people to see: the model's input is never
 * read back from it (see ink.js). Imports keyboard.js for the grid's size.
 * @module
 */

import { CELLS } from "./keyboard.js";

/**
 * @typedef {import("./drawing.js").Line} Line
 * @typedef {import("./keyboard.js").GridCursor} GridCursor
 */

/** Width of the line as a share of the canvas' side. */
const PEN = 0.045;
/** Points further apart than this share of the side are corners that were meant. */
const FAR = 0.08;
/** A pen that is pressed lightly draws this share of it. */
const LIGHTEST = 0.5;

/** A canvas that shows lines, sharp at every device pixel ratio. */
export class Surface {
  #canvas;
  #context;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /** Side in CSS pixels, what the strokes' points are measured in; 0 while it has no place. */
  get side() {
    return Math.max(this.#canvas.clientWidth, this.#canvas.clientHeight);
  }

  /**
   * @param {readonly Line[]} lines
   * @param {GridCursor} cursor
   */
  show(lines, cursor) {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = globalThis.devicePixelRatio || 1;
    const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.#canvas.width !== across) this.#canvas.width = across;
    if (this.#canvas.height !== down) this.#canvas.height = down;
    const context = this.#context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.#canvas);
    context.strokeStyle = context.fillStyle = style.color;
    context.lineCap = context.lineJoin = "round";
    for (const line of lines) this.#trace(line, this.side * PEN);
    if (cursor.isShown) this.#mark(cursor, style.outlineColor);
  }

  /** @type {(line: Line, pen: number) => void} */
  #trace({ points, pressures }, pen) {
    const context = this.#context;
    context.lineWidth = pen;
    context.beginPath();
    context.moveTo(...points[0]);
    // A path of no length has round ends too: a dot.
    if (points.length === 1) context.lineTo(...points[0]);
    points.slice(1).forEach((point, i) => {
      const before = points[i];
      if (pressures) {
        context.stroke();
        context.lineWidth = pen * (LIGHTEST + (1 - LIGHTEST) * Math.min(1, 2 * pressures[i + 1]));
        context.beginPath();
        context.moveTo(...before);
        context.lineTo(...point);
        return;
      }
      // Through the middles, the points as controls: a fast hand's corners become curves.
      const after = points[i + 2];
      if (after && this.#isNear(before, point) && this.#isNear(point, after)) context.quadraticCurveTo(...point, (point[0] + after[0]) / 2, (point[1] + after[1]) / 2);
      else context.lineTo(...point);
    });
    context.stroke();
  }

  /** @type {(a: readonly [number, number], b: readonly [number, number]) => boolean} */
  #isNear(a, b) {
    return Math.hypot(a[0] - b[0], a[1] - b[1]) < FAR * this.side;
  }

  /** @type {(cursor: GridCursor, colour: string) => void} */
  #mark({ column, row, isDown }, colour) {
    const context = this.#context;
    const cell = this.side / CELLS;
    context.fillStyle = context.strokeStyle = colour;
    for (let i = 0; i < CELLS * CELLS; i++) {
      context.beginPath();
      context.arc(((i % CELLS) + 0.5) * cell, (Math.floor(i / CELLS) + 0.5) * cell, 1, 0, 2 * Math.PI);
      context.fill();
    }
    context.lineWidth = 2;
    context.beginPath();
    context.arc((column + 0.5) * cell, (row + 0.5) * cell, isDown ? cell / 4 : cell / 2.5, 0, 2 * Math.PI);
    context.stroke();
    if (isDown) context.fill();
  }
}
