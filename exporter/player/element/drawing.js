/**
 * What has been drawn, with its history. Pure: knows no canvas and no event. Imports nothing.
 * @module
 */

/**
 * @typedef {[number, number]} Point x and y in CSS pixels of the canvas.
 *
 * @typedef {object} Line One stroke.
 * @property {readonly Point[]} points
 * @property {readonly number[] | null} pressures 0..1 for each point; null where nothing is known.
 */

/** Strokes, undo, redo. Every change of what is there makes a new `version`. */
export class Drawing {
  /** @type {readonly Line[]} */
  #lines = [];
  /** @type {readonly (readonly Line[])[]} */
  #past = [];
  /** @type {readonly (readonly Line[])[]} */
  #future = [];
  /** @type {{points: Point[], pressures: number[] | null} | null} */
  #open = null;
  #version = 0;
  #onChange;

  /** @param {() => void} onChange Told of every change. */
  constructor(onChange = () => {}) {
    this.#onChange = onChange;
  }

  /** A number that differs after every change. */
  get version() {
    return this.#version;
  }

  /** All of it, the stroke that is being drawn too. @returns {readonly Line[]} */
  get lines() {
    return this.#open ? [...this.#lines, this.#open] : this.#lines;
  }

  get isEmpty() {
    return this.lines.length === 0;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /**
   * The pen comes down.
   * @param {Point} point
   * @param {number | null} pressure null where the device knows none.
   */
  begin(point, pressure) {
    this.end();
    this.#open = { points: [point], pressures: pressure === null ? null : [pressure] };
    this.#touch();
  }

  /**
   * The pen moves; without effect while it is up.
   * @param {Point} point
   * @param {number | null} pressure
   */
  extend(point, pressure) {
    if (!this.#open) return;
    this.#open.points.push(point);
    this.#open.pressures?.push(pressure ?? 0.5);
    this.#touch();
  }

  /** The pen goes up: the stroke is kept. */
  end() {
    if (!this.#open) return;
    const line = this.#open;
    this.#open = null;
    this.#keep([...this.#lines, line]);
  }

  /** The stroke that is being drawn was none. */
  cancel() {
    if (!this.#open) return;
    this.#open = null;
    this.#touch();
  }

  /**
   * Add whole strokes, each a step of its own to undo.
   * @param {readonly (readonly (readonly number[])[])[]} strokes
   * @throws {TypeError} Not strokes of finite [x, y].
   */
  add(strokes) {
    const lines = toLines(strokes);
    this.end();
    for (const line of lines) this.#keep([...this.#lines, line]);
  }

  /** Take everything away; a step to undo. */
  clear() {
    this.cancel();
    if (this.#lines.length > 0) this.#keep([]);
  }

  undo() {
    this.cancel();
    this.#move("undo");
  }

  redo() {
    this.cancel();
    this.#move("redo");
  }

  /**
   * The canvas has another size: so has what is drawn, now and in the history.
   * @param {number} factor
   */
  scale(factor) {
    const scaled = new Map();
    const scaleLine = (/** @type {Line} */ line) => {
      if (!scaled.has(line)) {
        scaled.set(line, { ...line, points: line.points.map(([x, y]) => /** @type {Point} */ ([x * factor, y * factor])) });
      }
      return scaled.get(line);
    };
    this.#lines = this.#lines.map(scaleLine);
    this.#past = this.#past.map((lines) => lines.map(scaleLine));
    this.#future = this.#future.map((lines) => lines.map(scaleLine));
    if (this.#open) this.#open = scaleLine(this.#open);
    this.#touch();
  }

  #touch() {
    this.#version++;
    this.#onChange();
  }

  /** @param {readonly Line[]} lines */
  #keep(lines) {
    this.#past = [...this.#past, this.#lines];
    this.#lines = lines;
    this.#future = [];
    this.#touch();
  }

  /** @param {"undo" | "redo"} direction */
  #move(direction) {
    const from = direction === "undo" ? this.#past : this.#future;
    const lines = from.at(-1);
    if (!lines) return;
    if (direction === "undo") {
      this.#past = from.slice(0, -1);
      this.#future = [...this.#future, this.#lines];
    } else {
      this.#future = from.slice(0, -1);
      this.#past = [...this.#past, this.#lines];
    }
    this.#lines = lines;
    this.#touch();
  }
}

/**
 * Strokes of points, checked and copied; empty ones are left out.
 * @param {readonly (readonly (readonly number[])[])[]} strokes
 * @returns {Line[]}
 */
function toLines(strokes) {
  if (!Array.isArray(strokes)) throw new TypeError(`strokes: an array of strokes expected, ${typeof strokes} found`);
  const lines = strokes.map((stroke, index) => {
    const right = Array.isArray(stroke) && stroke.every((point) => Number.isFinite(point?.[0]) && Number.isFinite(point?.[1]));
    if (!right) {
      const found = String(JSON.stringify(stroke)).slice(0, 60);
      throw new TypeError(`strokes[${index}]: an array of finite [x, y] points expected, ${found} found`);
    }
    return { points: stroke.map(([x, y]) => /** @type {Point} */ ([x, y])), pressures: null };
  });
  return lines.filter((line) => line.points.length > 0);
}
