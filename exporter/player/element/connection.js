/**
 * The one model that the element wants now: opens it, forgets it when another is wanted, and tells
 * of the one only. Imports classifier.js.
 * @module
 */

import { openClassifier } from "./classifier.js";

/**
 * @typedef {import("./classifier.js").Classifier} Classifier
 *
 * @typedef {object} Listener
 * @property {(classifier: Classifier) => void} opened
 * @property {(error: unknown) => void} failed
 * @property {(progress: import("./classifier.js").Progress) => void} progressed
 */

const GONE = "digit-pad: the model was not loaded, as the element was removed or wants another one";

/** A model that is being loaded, is loaded, or is not there. */
export class Connection {
  #listener;
  /** @type {Promise<Classifier> | null} */
  #classifier = null;
  /** @type {AbortController | null} */
  #loading = null;

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** The model that is wanted; null where none is. */
  get classifier() {
    return this.#classifier;
  }

  /**
   * @param {string} src
   * @param {Record<string, string>} choice
   */
  open(src, choice) {
    this.close();
    const loading = new AbortController();
    const { signal } = loading;
    const { opened, failed, progressed } = this.#listener;
    this.#loading = loading;
    let isSettled = false;
    this.#classifier = openClassifier(src, choice, {
      signal,
      // What was asked for early and is not needed any more may still be coming.
      onProgress: (progress) => signal.aborted || isSettled || progressed(progress),
    });
    this.#classifier.then(
      (classifier) => {
        isSettled = true;
        if (!signal.aborted) opened(classifier);
      },
      (error) => {
        isSettled = true;
        if (signal.aborted) return;
        loading.abort();
        failed(error);
      },
    );
  }

  /** Ends the loading, frees the model. */
  close() {
    this.#loading?.abort(new DOMException(GONE, "AbortError"));
    // What does not open has nothing to free, and has been told.
    this.#classifier?.then((classifier) => classifier.close(), () => {});
    this.#classifier = this.#loading = null;
  }
}
