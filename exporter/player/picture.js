/**
 * Pictures: their ink told from their background. The JavaScript half of the picture path of the
 * contract "mnist-ink", in the steps of `exporter/picture.py`; decoding is the browser's work
 * (`ImageData`). Imports ink.js, noise.js and thickness.js.
 * @module
 */

import { PEN, fit } from "./ink.js";
import { clean } from "./noise.js";
import { thicken } from "./thickness.js";

/**
 * @typedef {import("./ink.js").Ink} Ink
 *
 * @typedef {object} Pixels What `ImageData` is: RGBA, not premultiplied, row after row.
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint8ClampedArray} data
 *
 * @typedef {object} Colours Three numbers in 0..1 per pixel.
 * @property {number} width
 * @property {number} height
 * @property {Float64Array} data
 */

/** Larger pictures are averaged down to this first. */
const LARGEST_SIDE = 512;
/** Ink that reaches this needs no stretching: MNIST's own digits pass through unchanged. */
const FULL_CONTRAST = 0.9;
/** Below this nothing stands out from the background. */
const LEAST_CONTRAST = 0.08;
/** Half a grey level: less is the rounding of the background's own arithmetic. */
const LEAST_INK = 1 / 512;
/** In a large picture, fainter ink than this is what lossy files leave around a stroke. */
const RINGING = 0.06;
/** A larger side over this is large: a small picture's faint edges are a share of its strokes. */
const LARGE = 56;
const NOISE_FACTOR = 4;

/**
 * A picture of one digit as model input: 784 numbers in 0..1, white ink on black; null is no digit.
 * @param {Pixels} pixels Dark on light or light on dark, any size, colours, transparency.
 * @returns {Float32Array<ArrayBuffer> | null}
 * @throws {TypeError} Not the bytes of a picture.
 */
export function fromPixels(pixels) {
  const ink = inkOf(pixels);
  return ink && Float32Array.from(fit(thicken(ink, PEN)));
}

/**
 * @param {Pixels} pixels
 * @returns {Ink | null} null where nothing was drawn.
 */
export function inkOf(pixels) {
  const { width, height, data } = pixels;
  if (!(width > 0 && height > 0) || data.length !== 4 * width * height) {
    throw new TypeError(`picture: ${width} x ${height} RGBA pixels expected, ${data.length} bytes found`);
  }
  const raw = contrast(shrink(pixels, groundOf(pixels)));
  const noise = NOISE_FACTOR * median(borderOf(raw));
  const peak = raw.data.reduce((most, value) => Math.max(most, value), 0);
  if (peak < LEAST_CONTRAST || peak <= noise) return null;
  if (noise > 0) return clean(raw, noise);
  const stretch = peak >= FULL_CONTRAST ? 1 : peak;
  const ink = { ...raw, data: raw.data.map((value) => Math.min(1, value / stretch)) };
  return Math.max(raw.width, raw.height) > LARGE ? crop(ink) : ink;
}

/** Cuts off what reaches out beyond all ink of RINGING and more. @type {(ink: Ink) => Ink} */
function crop({ width, height, data }) {
  let [top, bottom, left, right] = [height, 0, width, 0];
  data.forEach((value, i) => {
    if (value < RINGING) return;
    const [row, column] = [Math.floor(i / width), i % width];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
  });
  const cut = new Float64Array((bottom - top) * (right - left));
  for (let row = top; row < bottom; row++) {
    cut.set(data.subarray(row * width + left, row * width + right), (row - top) * (right - left));
  }
  return { width: right - left, height: bottom - top, data: cut };
}

/**
 * What shows through transparency: white under dark ink and black under light ink where most of
 * the picture is transparent, else the mean of what can be seen.
 * @param {Pixels} pixels
 * @returns {[number, number, number]}
 */
function groundOf({ data }) {
  const sum = [0, 0, 0];
  let opaque = 0;
  for (let i = 0; i < data.length; i += 4) {
    const alpha = data[i + 3] / 255;
    opaque += alpha;
    for (let channel = 0; channel < 3; channel++) sum[channel] += (data[i + channel] / 255) * alpha;
  }
  const mean = sum.map((total) => (opaque > 0 ? total / opaque : 0));
  if (opaque < 0.5 * (data.length / 4)) {
    const filled = (mean[0] + mean[1] + mean[2]) / 3 < 0.5 ? 1 : 0;
    return [filled, filled, filled];
  }
  return [mean[0], mean[1], mean[2]];
}

/**
 * Laid on its ground, and blocks of k x k pixels averaged so that no side is over LARGEST_SIDE;
 * what is left over is cut.
 * @type {(pixels: Pixels, ground: [number, number, number]) => Colours}
 */
function shrink({ width, height, data }, ground) {
  const k = Math.ceil(Math.max(height, width) / LARGEST_SIDE);
  const [high, wide] = [Math.min(k, height), Math.min(k, width)];
  const rows = Math.max(1, Math.floor(height / k));
  const columns = Math.max(1, Math.floor(width / k));
  const result = new Float64Array(rows * columns * 3);
  for (let y = 0; y < rows * high; y++) {
    for (let x = 0; x < columns * wide; x++) {
      const from = (y * width + x) * 4;
      const to = (Math.floor(y / high) * columns + Math.floor(x / wide)) * 3;
      const alpha = data[from + 3] / 255;
      for (let channel = 0; channel < 3; channel++) {
        result[to + channel] += (data[from + channel] / 255) * alpha + ground[channel] * (1 - alpha);
      }
    }
  }
  return { width: columns, height: rows, data: result.map((sum) => sum / (high * wide)) };
}

/**
 * Distance from the background, the largest over the channels. The background is a plane through
 * the medians of the four border strips, so that light that falls off to one side does no harm.
 * @type {(colours: Colours) => Ink}
 */
function contrast(colours) {
  const { width, height, data } = colours;
  const strip = stripOf(width, height);
  const box = (/** @type {number[]} */ ...edges) => mediansIn(colours, edges);
  const top = box(0, strip, 0, width);
  const bottom = box(height - strip, height, 0, width);
  const left = box(0, height, 0, strip);
  const right = box(0, height, width - strip, width);
  const middle = top.map((value, i) => (value + bottom[i] + left[i] + right[i]) / 4);
  const result = new Float64Array(width * height);
  for (let row = 0; row < height; row++) {
    const y = (row + 0.5) / height - 0.5;
    for (let column = 0; column < width; column++) {
      const x = (column + 0.5) / width - 0.5;
      const i = row * width + column;
      for (let c = 0; c < 3; c++) {
        const ground = middle[c] + y * (bottom[c] - top[c]) + x * (right[c] - left[c]);
        result[i] = Math.max(result[i], Math.abs(data[3 * i + c] - ground));
      }
      if (result[i] < LEAST_INK) result[i] = 0;
    }
  }
  return { width, height, data: result };
}

/** Width of the strips along the edges. @type {(width: number, height: number) => number} */
function stripOf(width, height) {
  return Math.max(1, Math.floor(Math.min(width, height) / 32));
}

/**
 * The median of each channel in the rows and columns from … to.
 * @type {(colours: Colours, edges: number[]) => number[]}
 */
function mediansIn({ width, data }, [top, bottom, left, right]) {
  return [0, 1, 2].map((channel) => {
    const values = new Float64Array((bottom - top) * (right - left));
    let filled = 0;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        values[filled++] = data[3 * (row * width + column) + channel];
      }
    }
    return median(values);
  });
}

/** @param {Ink} ink */
function borderOf({ width, height, data }) {
  const strip = stripOf(width, height);
  return data.filter((_, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    return row < strip || row >= height - strip || column < strip || column >= width - strip;
  });
}

/** @param {Float64Array} values */
function median(values) {
  const sorted = values.slice().sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
