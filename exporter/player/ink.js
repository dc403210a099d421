/**
 * Ink: what a person drew, as the 28x28 input that an MNIST model was trained on. The JavaScript
 * half of the contract "mnist-ink" version 1: the same float64 operations in the same order as
 * `exporter/ink.py`, of which `docs/ink.md` says every step; both are pinned by
 * tests/vectors/ink.json. Knows no canvas: every browser gives the same numbers. Imports nothing.
 * @module
 */

/**
 * @typedef {readonly (readonly [number, number] | readonly number[])[]} Stroke Points [x, y], y downwards.
 *
 * @typedef {object} Ink A map of ink, row after row: 0 is background, 1 is full ink.
 * @property {number} width
 * @property {number} height
 * @property {Float64Array} data
 */

export const SIDE = 28;
const BOX = 20;
const CENTRE = 14;
/** Pen width as a share of the drawn lines' larger side: MNIST's own mean stroke. */
export const PEN = 0.135;
const SUBSAMPLES = 4;
/** A drawing whose larger side is no more than this share of the canvas is a slip, no digit. */
const SMALLEST_MARK = 0.02;
/** Pixels by which the centre of mass is moved off a tie (symmetric ink lies on one exactly). */
const TIE = 1e-6;

/** What a manifest says under `preprocessing` when these are the numbers that its model wants. */
export const CONTRACT = Object.freeze({
  name: "mnist-ink",
  version: 1,
  parameters: Object.freeze({
    side: SIDE,
    box: BOX,
    centre_of_mass: CENTRE,
    pen: PEN,
    subsamples: SUBSAMPLES,
    smallest_mark: SMALLEST_MARK,
  }),
});

/**
 * Strokes as model input: 784 numbers in 0..1, white ink on black; null is no digit.
 * @param {readonly Stroke[]} strokes Any size and place, finite.
 * @param {{canvasSide?: number, pen?: number}} [options] The larger side of the canvas in the
 *   strokes' unit, 0 where it is not known; the pen's width as a share of the lines' larger side.
 * @returns {Float32Array<ArrayBuffer> | null}
 * @throws {TypeError} Not strokes of finite [x, y].
 */
export function fromStrokes(strokes, { canvasSide = 0, pen = PEN } = {}) {
  const lines = strokes.map(toLine).filter((line) => line.length > 0);
  if (lines.length === 0) return null;
  const { left, top, right, bottom } = boundsOf(lines);
  const larger = Math.max(right - left, bottom - top);
  if (larger <= SMALLEST_MARK * canvasSide || larger <= 0) return null;
  // Ink reaches half a pen beyond the lines on both sides.
  const scale = BOX / (larger + pen * larger);
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const scaled = lines.map((line) => line.map((value, i) => (value - middle[i % 2]) * scale + BOX / 2));
  return Float32Array.from(centre(coverage(scaled, (pen * larger * scale) / 2, BOX)));
}

/**
 * Ink of any size, some of it above 0, as 28x28 numbers.
 * @param {Ink} ink
 * @returns {Float64Array}
 */
export function fit(ink) {
  if (isInput(ink)) return ink.data.slice();
  const [top, bottom] = bounds(maxima(ink, "rows"));
  const [left, right] = bounds(maxima(ink, "columns"));
  const side = Math.max(bottom - top, right - left);
  const down = marginOf(bottom - top, side);
  const across = marginOf(right - left, side);
  const square = new Float64Array(side * side);
  for (let row = top; row < bottom; row++) {
    const line = ink.data.subarray(row * ink.width + left, row * ink.width + right);
    square.set(line, (row - top + down) * side + across);
  }
  return centre(resample(square, side, BOX));
}

/**
 * Pixels before ink of `length` in a square of `side`: whole pixels of the box, so that ink that
 * was enlarged from MNIST's grid comes back onto it.
 * @type {(length: number, side: number) => number}
 */
function marginOf(length, side) {
  const boxes = Math.floor((BOX - (BOX * length) / side) / 2);
  return Math.floor((boxes * side) / BOX);
}

/**
 * Share of each pixel that round-ended pen strokes cover, side x side.
 *
 * A pixel is the mean of SUBSAMPLES² samples; a sample is covered by the distance d of its centre
 * to the nearest line, min(1, max(0, (radius - d) · SUBSAMPLES + 1/2)): a ramp one sample wide, so
 * that a small change of a point changes a pixel by little.
 * @param {readonly Float64Array[]} lines Polylines x0, y0, x1, y1, … in pixels; one point is a dot.
 * @param {number} radius Half the pen's width in pixels.
 * @param {number} side Pixels along a side.
 */
export function coverage(lines, radius, side) {
  const count = side * SUBSAMPLES;
  const nearest = new Float64Array(count * count).fill(Infinity);
  for (const line of lines) {
    if (line.length === 2) approach(nearest, count, [line[0], line[1], line[0], line[1]], radius + 1);
    for (let i = 2; i < line.length; i += 2) {
      approach(nearest, count, [line[i - 2], line[i - 1], line[i], line[i + 1]], radius + 1);
    }
  }
  const total = new Float64Array(side * side);
  for (let i = 0; i < nearest.length; i++) {
    if (nearest[i] === Infinity) continue;
    const covered = Math.min(1, Math.max(0, (radius - Math.sqrt(nearest[i])) * SUBSAMPLES + 0.5));
    const [row, column] = [Math.floor(i / count), i % count];
    total[Math.floor(row / SUBSAMPLES) * side + Math.floor(column / SUBSAMPLES)] += covered;
  }
  return total.map((sum) => sum / (SUBSAMPLES * SUBSAMPLES));
}

/**
 * Lower `nearest` to the squared distances to one segment, within `reach` of its bounds.
 * @param {Float64Array} nearest
 * @param {number} count Samples along a side.
 * @param {readonly [number, number, number, number]} segment From x, y to x, y.
 * @param {number} reach Pixels.
 */
function approach(nearest, count, [x0, y0, x1, y1], reach) {
  const [top, bottom] = samples(y0, y1, reach, count);
  const [left, right] = samples(x0, x1, reach, count);
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  for (let row = top; row < bottom; row++) {
    const fromY = (row + 0.5) / SUBSAMPLES - y0;
    for (let column = left; column < right; column++) {
      const fromX = (column + 0.5) / SUBSAMPLES - x0;
      const along = length > 0 ? Math.min(1, Math.max(0, (fromX * dx + fromY * dy) / length)) : 0;
      const [offX, offY] = [fromX - along * dx, fromY - along * dy];
      const squared = offX * offX + offY * offY;
      const i = row * count + column;
      if (squared < nearest[i]) nearest[i] = squared;
    }
  }
}

/** @type {(a: number, b: number, reach: number, count: number) => [number, number]} */
function samples(a, b, reach, count) {
  const low = Math.floor((Math.min(a, b) - reach) * SUBSAMPLES);
  const high = Math.ceil((Math.max(a, b) + reach) * SUBSAMPLES);
  return [Math.max(0, low), Math.min(count, high)];
}

/**
 * Put the 20x20 box into 28x28 by whole pixels: its centre of mass nearest to index 14.0, no ink
 * cut. A tie, where symmetric ink lies exactly, goes to 13.5, as it does in MNIST.
 * @param {Float64Array} box
 */
function centre(box) {
  const { rows, columns } = sums({ width: BOX, height: BOX, data: box });
  const mass = rows.reduce((sum, weight) => sum + weight, 0);
  const [top, bottom, down] = place(rows, mass);
  const [left, right, across] = place(columns, mass);
  const result = new Float64Array(SIDE * SIDE);
  for (let row = top; row < bottom; row++) {
    const line = box.subarray(row * BOX + left, row * BOX + right);
    result.set(line, (row + down) * SIDE + left + across);
  }
  return result;
}

/**
 * Where the ink begins and ends along one axis, and by how much to move it.
 * @type {(weights: Float64Array, mass: number) => [number, number, number]}
 */
function place(weights, mass) {
  const [first, last] = bounds(weights);
  const middle = weights.reduce((sum, weight, i) => sum + weight * i, 0) / mass;
  const offset = Math.floor(CENTRE + 0.5 - middle - TIE);
  return [first, last, Math.min(Math.max(offset, -first), SIDE - last)];
}

/**
 * Whether it is a 28x28 input already: MNIST cut a line off 17 of its 70,000 digits.
 * @param {Ink} ink
 */
function isInput(ink) {
  if (ink.width !== SIDE || ink.height !== SIDE) return false;
  const { rows, columns } = sums(ink);
  const lengths = [rows, columns].map((weights) => {
    const [first, last] = bounds(weights);
    const mass = weights.reduce((sum, weight) => sum + weight, 0);
    const middle = weights.reduce((sum, weight, i) => sum + weight * i, 0) / mass;
    return Math.abs(middle - CENTRE) > 0.55 ? Infinity : last - first;
  });
  const longest = Math.max(...lengths);
  return longest <= BOX && longest >= BOX - 1;
}

/**
 * Area-weighted resampling of a square: each new pixel is the mean over the area that it covers.
 * @param {Float64Array} square
 * @param {number} old Its side.
 * @param {number} side The new one.
 */
function resample(square, old, side) {
  const ratio = old / side;
  const across = new Float64Array(old * side);
  for (let j = 0; j < side; j++) {
    for (let k = Math.floor(j * ratio); k < Math.min(old, Math.ceil(j * ratio + ratio)); k++) {
      const share = overlap(j * ratio, ratio, k);
      for (let row = 0; row < old; row++) across[row * side + j] += share * square[row * old + k];
    }
  }
  const result = new Float64Array(side * side);
  for (let i = 0; i < side; i++) {
    for (let k = Math.floor(i * ratio); k < Math.min(old, Math.ceil(i * ratio + ratio)); k++) {
      const share = overlap(i * ratio, ratio, k);
      for (let j = 0; j < side; j++) result[i * side + j] += share * across[k * side + j];
    }
  }
  return result;
}

/** Share of the stretch from `low`, `ratio` long, that old pixel `k` covers. @type {(low: number, ratio: number, k: number) => number} */
function overlap(low, ratio, k) {
  return Math.max(0, Math.min(low + ratio, k + 1) - Math.max(low, k)) / ratio;
}

/** @param {Ink} ink */
function sums({ width, height, data }) {
  const rows = new Float64Array(height);
  const columns = new Float64Array(width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      rows[row] += data[row * width + column];
      columns[column] += data[row * width + column];
    }
  }
  return { rows, columns };
}

/** @type {(ink: Ink, axis: "rows" | "columns") => Float64Array} */
function maxima({ width, height, data }, axis) {
  const result = new Float64Array(axis === "rows" ? height : width);
  for (let i = 0; i < data.length; i++) {
    const at = axis === "rows" ? Math.floor(i / width) : i % width;
    if (data[i] > result[at]) result[at] = data[i];
  }
  return result;
}

/** First index above 0, and the index after the last. @type {(weights: Float64Array) => [number, number]} */
function bounds(weights) {
  return [weights.findIndex((weight) => weight > 0), weights.findLastIndex((weight) => weight > 0) + 1];
}

/** @param {readonly Float64Array[]} lines */
function boundsOf(lines) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const line of lines) {
    for (let i = 0; i < line.length; i += 2) {
      left = Math.min(left, line[i]);
      right = Math.max(right, line[i]);
      top = Math.min(top, line[i + 1]);
      bottom = Math.max(bottom, line[i + 1]);
    }
  }
  return { left, top, right, bottom };
}

/** @type {(stroke: Stroke, index: number) => Float64Array} */
function toLine(stroke, index) {
  const line = new Float64Array(stroke.length * 2);
  stroke.forEach((point, i) => {
    const [x, y] = point;
    if (point.length !== 2 || !Number.isFinite(x) || !Number.isFinite(y)) {
      throw new TypeError(`strokes[${index}]: finite [x, y] points expected, ${JSON.stringify(point)} found`);
    }
    line[2 * i] = x;
    line[2 * i + 1] = y;
  });
  return line;
}
