/**
 * Drawing without a pointer: arrow keys move a cursor over a grid, the space bar puts the pen down
 * and lifts it. Imports nothing.
 * @module
 */

/** Cells along a side: coarse enough to draw a digit in few strokes of a key. */
export const CELLS = 12;

/** @type {Readonly<Record<string, readonly [number, number]>>} */
const MOVES = Object.freeze({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** The cursor on the grid, and whether its pen is down. */
export class GridCursor {
  column = Math.floor(CELLS / 2);
  row = 2;
  isDown = false;
  /** Shown only to those who use it. */
  isShown = false;
  #handlers;
  #placeOf;

  /**
   * @param {Pick<import("./pen.js").PenHandlers, "begin" | "extend" | "end">} handlers
   * @param {(column: number, row: number) => [number, number]} placeOf Of a cell's middle.
   */
  constructor(handlers, placeOf) {
    this.#handlers = handlers;
    this.#placeOf = placeOf;
  }

  /**
   * @param {string} key As `KeyboardEvent.key` has it.
   * @returns {string | null} What to say of it; null where the key is not one of ours.
   */
  press(key) {
    const move = MOVES[key];
    if (move) return this.#move(move);
    if (key !== " " && key !== "Enter") return null;
    this.isShown = true;
    return this.isDown ? this.lift() : this.#lower();
  }

  /** Pen up, as when the focus goes. */
  lift() {
    if (this.isDown) this.#handlers.end();
    this.isDown = false;
    return "Pen up";
  }

  #lower() {
    this.isDown = true;
    this.#handlers.begin(this.#placeOf(this.column, this.row), null);
    return `Pen down at ${this.#where()}`;
  }

  /** @param {readonly [number, number]} step */
  #move([across, down]) {
    this.isShown = true;
    const inside = (/** @type {number} */ index) => Math.min(CELLS - 1, Math.max(0, index));
    this.column = inside(this.column + across);
    this.row = inside(this.row + down);
    if (this.isDown) this.#handlers.extend(this.#placeOf(this.column, this.row), null);
    return this.#where();
  }

  #where() {
    return `column ${this.column + 1}, row ${this.row + 1} of ${CELLS}`;
  }
}
