/**
 * How far the model that answers is from Keras, in words: measured by its self-test on this device.
 * @module
 */

/** Precisions whose numbers are coarse by design: it is the answer that they keep. */
const COARSE = /^u?int8/;

/**
 * @param {any} info Of the model that answers.
 * @param {(name: string, text: string) => void} tell
 */
export function tellParity({ precision, selfTest: { rows, maxError, pictures } }, tell) {
  if (!COARSE.test(precision) || pictures.rows === 0) {
    tell("compared", "off Keras at most, on this device");
    tell("parity", `${maxError.toExponential(1)} over ${rows} samples`);
    return;
  }
  // Its largest error is that of noise and near ties, which nobody draws: said, but not first.
  const short = (/** @type {number} */ error) => String(Number(error.toPrecision(2)));
  tell("parity", `same answer on ${pictures.sameAnswers} of ${pictures.rows} digits`);
  tell("compared", `as Keras, on this device: at most ${short(pictures.maxError)} off, ${short(maxError)} on noise and near ties`);
}
