/**
 * Digits to try without drawing, made up for this project as `exporter/golden/drawn_digits.py` has them:
 * they come from no data set. Imports nothing.
 * @module
 */

/** @typedef {[number, number][]} Stroke */

/**
 * Part of an ellipse; angles in degrees, clockwise from the right.
 * @type {(x: number, y: number, across: number, down: number, start: number, end: number) => Stroke}
 */
function arc(x, y, across, down, start, end) {
  const steps = 18;
  return Array.from({ length: steps }, (_, i) => {
    const angle = ((start + ((end - start) * i) / (steps - 1)) * Math.PI) / 180;
    return [x + across * Math.cos(angle), y + down * Math.sin(angle)];
  });
}

/** One drawing per digit in a box of 100 x 100. @type {readonly (readonly Stroke[])[]} */
const DIGITS = Object.freeze([
  [arc(50, 50, 30, 45, -90, 270)],
  [[[36, 22], [52, 6], [52, 96]]],
  [[...arc(48, 30, 26, 24, -165, 35), [22, 94], [78, 92]]],
  [[...arc(46, 28, 25, 22, -150, 85), ...arc(46, 72, 28, 24, -90, 150)]],
  [[[60, 4], [18, 64], [82, 64]], [[62, 34], [62, 98]]],
  [[[74, 6], [32, 6], [27, 44], ...arc(46, 66, 29, 27, -120, 140)]],
  [[[64, 4], [40, 30], [25, 60], ...arc(48, 70, 24, 24, -170, 190)]],
  [[[18, 8], [80, 8], [44, 97]]],
  [[...arc(50, 27, 23, 22, 90, 450), ...arc(50, 73, 28, 24, -90, 270)]],
  [[...arc(50, 30, 25, 25, -10, -370), [74, 34], [70, 64], [60, 97]]],
]);

export const SAMPLE_COUNT = DIGITS.length;

/**
 * The strokes of a digit in the middle of a canvas.
 * @param {number} digit 0 to 9
 * @param {number} side Of the canvas, in CSS pixels.
 * @returns {Stroke[]}
 */
export function sampleOf(digit, side) {
  const scale = (0.64 * side) / 100;
  return DIGITS[digit].map((stroke) =>
    stroke.map(([x, y]) => [0.18 * side + x * scale, 0.18 * side + y * scale]),
  );
}
