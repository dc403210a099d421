/**
 * What the player throws on purpose, so that a page can tell the causes apart.
 *
 *     PlayerError
 *     ├── BadBundle      the manifest, a golden vector or a file is not what it says it is
 *     ├── BadInput       the numbers given to `predict` cannot be answered
 *     ├── RuntimeFailed  a runtime does not start, load or run; `cause` is its own error
 *     ├── SelfTestFailed no candidate gives the stored answers on this machine
 *     └── UnsupportedModel a runtime that takes only some models does not take this one
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
    // Not `new.target.name`: the build shortens the names of classes.
    this.name = "PlayerError";
  }
}

export class BadBundle extends PlayerError {
  name = "BadBundle";
}
export class BadInput extends PlayerError {
  name = "BadInput";
}
export class RuntimeFailed extends PlayerError {
  name = "RuntimeFailed";
}
export class SelfTestFailed extends PlayerError {
  name = "SelfTestFailed";
}
export class UnsupportedModel extends PlayerError {
  name = "UnsupportedModel";
}

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
