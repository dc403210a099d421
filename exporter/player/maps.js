/**
 * Looks inside a model that has feature maps: what each map shows of one sample, the kernels that
 * make it, and which ink an answer rests on. Knows nothing of TF.js: it is given a session.
 * @module
 */

/**
 * @typedef {object} MapLayer
 * @property {string} name
 * @property {number} units Or maps.
 * @property {{height: number, width: number}} [map] Of each; a unit of a dense layer has none.
 *
 * @typedef {object} Kernels What one unit or map multiplies: a small picture for each map it reads.
 * @property {Float32Array} values Picture after picture, row after row.
 * @property {number} count
 * @property {number} height
 * @property {number} width
 *
 * @typedef {MapLayer & {kernel: null | {values: Float32Array, shape: readonly number[], each: boolean}}} TracedLayer
 *   A kernel is (height, width, maps read, maps made); `each`: every map read makes some of its own.
 *
 * @typedef {object} TracedSession
 * @property {readonly TracedLayer[]} layers
 * @property {(sample: Float32Array) => Promise<Float32Array[]>} look What each of `layers` answers,
 *   (height, width, maps) or (units).
 * @property {(samples: Float32Array) => Promise<Float32Array>} answer What the last one answers to
 *   several samples.
 * @property {() => Promise<void>} close
 */

/** Pixels of a window that is blanked, and of the step to the next. */
const WINDOW = 5;
const STEP = 2;

/** The layers with feature maps or units, from the input to the output. */
export class MapInspector {
  #session;

  /** @param {TracedSession} session */
  constructor(session) {
    this.#session = session;
    /** @type {readonly MapLayer[]} */
    this.layers = session.layers.map(({ name, units, map }) => ({ name, units, ...(map && { map }) }));
  }

  /**
   * What each layer answers to one sample, the activation included: its numbers as Keras has them.
   * @param {Float32Array} sample
   * @returns {Promise<Float32Array[]>} One array for each of `layers`.
   */
  async look(sample) {
    return this.#session.look(sample);
  }

  /**
   * One feature map, row after row.
   * @param {number} layer Of `layers`.
   * @param {number} unit
   * @param {readonly Float32Array[]} answers What `look` gave.
   */
  mapOf(layer, unit, answers) {
    const { units } = this.layers[layer];
    return answers[layer].filter((_, i) => i % units === unit);
  }

  /**
   * @param {number} layer Of `layers`.
   * @param {number} unit
   * @returns {Kernels | null} null for a sum of other layers.
   */
  kernelsOf(layer, unit) {
    const { kernel } = this.#session.layers[layer];
    if (!kernel) return null;
    const { values, each } = kernel;
    const [height, width, read, made] = kernel.shape;
    const [first, count, place] = each ? [Math.floor(unit / made), 1, unit % made] : [0, read, unit];
    const size = height * width;
    const found = Float32Array.from({ length: count * size }, (_, i) => {
      const [one, at] = [first + Math.floor(i / size), i % size];
      return values[(at * read + one) * made + place];
    });
    return { values: found, count, height, width };
  }

  /**
   * Which ink an output rests on: by how much it falls when a small window of the picture is
   * blanked. Windows without ink change nothing and cost nothing.
   * @param {number} unit Of the last layer.
   * @param {Float32Array} sample A picture, row after row.
   * @param {number} side Of the picture.
   * @returns {Promise<Float32Array>} For each pixel its ink times the mean over the windows that hold it.
   */
  async inkOf(unit, sample, side) {
    const windows = [];
    for (let top = 1 - WINDOW + STEP; top < side; top += STEP) {
      for (let left = 1 - WINDOW + STEP; left < side; left += STEP) {
        const inside = pixels(top, left, side);
        if (inside.some((i) => sample[i] > 0)) windows.push(inside);
      }
    }
    const samples = new Float32Array((windows.length + 1) * sample.length);
    samples.set(sample);
    windows.forEach((inside, i) => {
      const at = (i + 1) * sample.length;
      samples.set(sample, at);
      for (const pixel of inside) samples[at + pixel] = 0;
    });
    const answers = await this.#session.answer(samples);
    const { units } = this.layers[this.layers.length - 1];
    const [sums, counts] = [new Float32Array(sample.length), new Float32Array(sample.length)];
    windows.forEach((inside, i) => {
      const fall = answers[unit] - answers[(i + 1) * units + unit];
      for (const pixel of inside) {
        sums[pixel] += fall;
        counts[pixel]++;
      }
    });
    return sums.map((sum, i) => (counts[i] ? (sample[i] * sum) / counts[i] : 0));
  }

  /** Frees what TF.js holds; nothing can be looked at after that. */
  async close() {
    await this.#session.close();
  }
}

/** Places of the pixels of a window. @type {(top: number, left: number, side: number) => number[]} */
function pixels(top, left, side) {
  const found = [];
  for (let y = Math.max(0, top); y < Math.min(side, top + WINDOW); y++) {
    for (let x = Math.max(0, left); x < Math.min(side, left + WINDOW); x++) found.push(y * side + x);
  }
  return found;
}
