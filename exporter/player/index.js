/**
 * What other pages import.
 * @module
 */

export { RUNTIMES } from "./runtimes/index.js";
export { parseManifest } from "./manifest.js";
