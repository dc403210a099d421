/**
 * What a link holds: the choice, the strokes in shares of the canvas, and the answer that was seen.
 * Pure; imports nothing.
 * @module
 */

/**
 * @typedef {object} Shown
 * @property {Record<string, string>} choice model, runtime, backend, precision; what is left out is automatic.
 * @property {number[][][]} strokes Points in 0..1 of the canvas' side.
 * @property {string | null} [answer] The label that was seen for them.
 */

const KEYS = ["model", "runtime", "backend", "precision"];
const STEPS = 4095;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** Strokes may reach this far beyond the canvas on either side. */
const MARGIN = 0.5;

/**
 * @param {Shown} shown
 * @returns {string} For `location.hash`, "" for nothing.
 */
export function toHash({ choice, strokes, answer = null }) {
  const given = KEYS.filter((key) => choice[key] && choice[key] !== "auto").map((key) => [key, choice[key]]);
  if (strokes.length > 0) given.push(["ink", strokes.map(packStroke).join(".")]);
  if (strokes.length > 0 && answer !== null) given.push(["answer", answer]);
  return new URLSearchParams(given).toString();
}

/**
 * @param {string} hash With or without its #; what cannot be read of it is left out.
 * @returns {Shown}
 */
export function fromHash(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const choice = Object.fromEntries(KEYS.filter((key) => given.has(key)).map((key) => [key, given.get(key) ?? ""]));
  const strokes = (given.get("ink") ?? "").split(".").map(unpackStroke).filter((stroke) => stroke.length > 0);
  return { choice, strokes, answer: given.get("answer") };
}

/** Two base64 digits for x, two for y. @param {number[][]} stroke */
function packStroke(stroke) {
  return stroke.map((point) => point.map(packShare).join("")).join("");
}

/** @param {number} share */
function packShare(share) {
  const inside = Math.min(1, Math.max(0, (share + MARGIN) / (1 + 2 * MARGIN)));
  const step = Math.round(inside * STEPS);
  return DIGITS[step >> 6] + DIGITS[step & 63];
}

/** @param {string} text @returns {number[][]} */
function unpackStroke(text) {
  const quads = text.match(/[\w-]{4}/g) ?? [];
  return quads.map((quad) => [unpackShare(quad[0], quad[1]), unpackShare(quad[2], quad[3])]);
}

/** @type {(high: string, low: string) => number} */
function unpackShare(high, low) {
  const step = DIGITS.indexOf(high) * 64 + DIGITS.indexOf(low);
  return (step / STEPS) * (1 + 2 * MARGIN) - MARGIN;
}
