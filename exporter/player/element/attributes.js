/**
 * Which model an element shows: attributes that are properties of the same name, too. Imports nothing.
 * @module
 */

export const CHOICES = /** @type {const} */ (["runtime", "backend", "precision"]);
export const ATTRIBUTES = /** @type {const} */ (["src", ...CHOICES]);

/** An element with the attributes that choose a model. */
export class ModelElement extends HTMLElement {
  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(value) {
    this.setAttribute("src", value);
  }

  get runtime() {
    return this.getAttribute("runtime") ?? "auto";
  }

  set runtime(value) {
    this.setAttribute("runtime", value);
  }

  get backend() {
    return this.getAttribute("backend") ?? "auto";
  }

  set backend(value) {
    this.setAttribute("backend", value);
  }

  get precision() {
    return this.getAttribute("precision") ?? "auto";
  }

  set precision(value) {
    this.setAttribute("precision", value);
  }

  /**
   * Properties that were set before the element was defined.
   * @protected
   * @param {readonly string[]} names
   */
  takeEarlier(names) {
    const own = /** @type {any} */ (this);
    for (const name of names.filter((one) => Object.hasOwn(this, one))) {
      const value = own[name];
      delete own[name];
      own[name] = value;
    }
  }
}
