/**
 * Ink of noisy pictures, as of a photographed sheet: what is stroke and what is dirt. A step of the
 * picture path of the contract "mnist-ink" (see picture.js). Imports nothing.
 * @module
 */

/** @typedef {import("./ink.js").Ink} Ink */

/** In a noisy picture, a blob smaller than this share of the largest one is dirt. */
const SPECK = 0.05;
const BINS = 256;

/**
 * Ink of a noisy picture: strokes made nearly black, specks and what is joined to none gone.
 * @type {(raw: Ink, noise: number) => Ink | null}
 */
export function clean(raw, noise) {
  const threshold = Math.max(noise, otsu(raw.data));
  const { blobs, sizes } = labelBlobs(raw, threshold);
  const least = SPECK * Math.max(0, ...sizes);
  const near = new Uint8Array(raw.data.length);
  forEachNeighbour(raw, (i, other) => {
    if (blobs[i] && sizes[blobs[i]] >= least) near[other] = 1;
  });
  const data = raw.data.map((value, i) => (near[i] ? Math.min(1, Math.max(0, value / threshold - 0.5)) : 0));
  return sizes.length > 1 ? { ...raw, data } : null;
}

/**
 * Numbers of joined pixels (diagonals join) and how many each has; 0 is below the threshold.
 * @type {(raw: Ink, threshold: number) => {blobs: Int32Array, sizes: number[]}}
 */
function labelBlobs({ width, height, data }, threshold) {
  const blobs = new Int32Array(data.length);
  const sizes = [0];
  for (let start = 0; start < data.length; start++) {
    if (blobs[start] || data[start] < threshold) continue;
    const open = [start];
    blobs[start] = sizes.length;
    let size = 0;
    for (let i = open.pop(); i !== undefined; i = open.pop()) {
      size++;
      for (const other of around(i, width, height)) {
        if (blobs[other] || data[other] < threshold) continue;
        blobs[other] = sizes.length;
        open.push(other);
      }
    }
    sizes.push(size);
  }
  return { blobs, sizes };
}

/** @type {(ink: Ink, visit: (i: number, other: number) => void) => void} */
function forEachNeighbour({ width, height, data }, visit) {
  for (let i = 0; i < data.length; i++) for (const other of around(i, width, height)) visit(i, other);
}

/** The pixel itself and the up to eight around it. @type {(i: number, width: number, height: number) => number[]} */
function around(i, width, height) {
  const [row, column] = [Math.floor(i / width), i % width];
  const found = [];
  for (let y = Math.max(0, row - 1); y <= Math.min(height - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) found.push(y * width + x);
  }
  return found;
}

/** Otsu's threshold (1979) over 256 bins of 0..1. @param {Float64Array} values */
function otsu(values) {
  const counts = new Float64Array(BINS);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor(value * BINS))]++;
  const weighted = counts.reduce((sum, count, i) => sum + count * i, 0);
  let [below, belowWeighted, best, most] = [0, 0, 0, 0];
  for (let i = 0; i < BINS; i++) {
    below += counts[i];
    belowWeighted += counts[i] * i;
    const above = values.length - below;
    if (below === 0 || above === 0) continue;
    const gap = belowWeighted / below - (weighted - belowWeighted) / above;
    const between = below * above * gap * gap;
    if (between > most) [most, best] = [between, i];
  }
  return (best + 1) / BINS;
}
