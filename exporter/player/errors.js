/**
 * What the player throws on purpose, so that a page can tell the causes apart.
 *
 *     PlayerError
 *     ├── BadBundle      the manifest, a golden vector or a file is not what it says it is
 *     ├── BadInput       the numbers given to `predict` cannot be answered
 *     ├── RuntimeFailed  a runtime does not start, load or run; `cause` is its own error
 *     └── SelfTestFailed no candidate gives the stored answers on this machine
 *
 * Imports nothing.
 * @module
 */

export class PlayerError extends Error {
  /**
   * @param {string} message One line: the thing, what was expected, what was found.
   * @param {{cause?: unknown}} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

export class BadBundle extends PlayerError {}
export class BadInput extends PlayerError {}
export class RuntimeFailed extends PlayerError {}
export class SelfTestFailed extends PlayerError {}

/**
 * The text of anything that was thrown; TF.js rejects with bare objects and texts too.
 * @param {unknown} thrown
 * @returns {string}
 */
export function messageOf(thrown) {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  if (typeof thrown === "object" && thrown !== null && "message" in thrown) {
    return String(thrown.message);
  }
  return String(thrown);
}
