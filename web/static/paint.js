/**
 * Numbers as pictures: what speaks for in blue, what speaks against in orange. Knows nothing else.
 * @module
 */

/** Both are legible on light and dark. */
const FOR = [47, 143, 214];
const AGAINST = [232, 116, 59];

/**
 * One number a pixel, the largest one the strongest.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values Row after row.
 * @param {number} width
 * @param {number} [most] What is painted the strongest.
 */
export function paint(canvas, values, width, most = strongest(values)) {
  const height = values.length / width;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = context.createImageData(width, height);
  values.forEach((value, i) => {
    const [red, green, blue] = value > 0 ? FOR : AGAINST;
    image.data.set([red, green, blue, (255 * Math.abs(value)) / (most || 1)], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

/** @param {Float32Array} values */
export function strongest(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/**
 * Small pictures side by side, about as wide as high, with room between them.
 * @param {import("../player/inspector.js").Kernels} kernels
 * @returns {{values: Float32Array, width: number}}
 */
export function mosaic({ values, count, height, width }) {
  const gap = count > 1 && height * width > 1 ? 1 : 0;
  const columns = Math.ceil(Math.sqrt(count));
  const across = columns * (width + gap) - gap;
  const found = new Float32Array(across * (Math.ceil(count / columns) * (height + gap) - gap));
  values.forEach((value, i) => {
    const [one, at] = [Math.floor(i / (height * width)), i % (height * width)];
    const y = Math.floor(one / columns) * (height + gap) + Math.floor(at / width);
    found[y * across + (one % columns) * (width + gap) + (at % width)] = value;
  });
  return { values: found, width: across };
}
