/**
 * How broad strokes are, and thin ones made as broad as a pen's. A step of the picture path of the
 * contract "mnist-ink" (see picture.js). Imports nothing.
 * @module
 */

/** @typedef {import("./ink.js").Ink} Ink */

/** Strokes thinner than this share of the digit are widened; MNIST has none so thin. */
const THIN = 0.05;

/**
 * Strokes too thin for a 28x28 input, as of a ballpoint, widened to `pen`; others as they are.
 * @param {Ink} ink
 * @param {number} pen Width of a stroke as a share of the larger side of the lines that it follows.
 * @returns {Ink}
 */
export function thicken(ink, pen) {
  const side = largerSideOf(ink);
  const width = strokeWidth(ink);
  if (width >= THIN * side) return ink;
  const radius = (pen * (side - width) - width) / 2;
  const padded = pad(ink, Math.floor(radius) + 2);
  const peak = ink.data.reduce((most, value) => Math.max(most, value), 0);
  const squared = distancesTo(padded, 0.5 * peak, Math.ceil(radius) + 1);
  return { ...padded, data: squared.map((d) => Math.min(1, Math.max(0, radius + 1 - Math.sqrt(d)))) };
}

/** Mean width of the strokes in pixels: twice the area over the length of the outline. @param {Ink} ink */
function strokeWidth(ink) {
  const { width, height, data } = pad(ink, 1);
  let [area, outline] = [0, 0];
  for (let row = 0; row < height - 1; row++) {
    for (let column = 0; column < width - 1; column++) {
      const i = row * width + column;
      const [down, across] = [data[i + width] - data[i], data[i + 1] - data[i]];
      area += data[i];
      outline += Math.sqrt(down * down + across * across);
    }
  }
  return (2 * area) / outline;
}

/** Of the box around the ink. @param {Ink} ink */
function largerSideOf({ width, height, data }) {
  let [top, bottom, left, right] = [height, -1, width, -1];
  data.forEach((value, i) => {
    if (value === 0) return;
    const [row, column] = [Math.floor(i / width), i % width];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  });
  return Math.max(bottom - top, right - left) + 1;
}

/** With a margin of no ink. @type {(ink: Ink, margin: number) => Ink} */
function pad({ width, height, data }, margin) {
  const wide = width + 2 * margin;
  const padded = new Float64Array(wide * (height + 2 * margin));
  for (let row = 0; row < height; row++) {
    padded.set(data.subarray(row * width, (row + 1) * width), (row + margin) * wide + margin);
  }
  return { width: wide, height: height + 2 * margin, data: padded };
}

/**
 * Squared distance of each pixel to the nearest one of at least `threshold`; Infinity beyond `reach`.
 * @type {(ink: Ink, threshold: number, reach: number) => Float64Array}
 */
function distancesTo({ width, height, data }, threshold, reach) {
  const vertical = new Float64Array(data.length).fill(Infinity);
  data.forEach((value, i) => {
    if (value < threshold) return;
    for (let step = -reach; step <= reach; step++) {
      const row = Math.floor(i / width) + step;
      const at = i + step * width;
      if (row >= 0 && row < height) vertical[at] = Math.min(vertical[at], step * step);
    }
  });
  return vertical.map((_, i) => {
    let nearest = Infinity;
    for (let step = -Math.min(reach, i % width); step <= Math.min(reach, width - 1 - (i % width)); step++) {
      nearest = Math.min(nearest, vertical[i + step] + step * step);
    }
    return nearest;
  });
}
