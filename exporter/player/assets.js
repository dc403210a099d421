/**
 * The player's own binary files: the WebAssembly modules that lie beside it, with the sizes and
 * sha256 that they had when it was built (`PLAYER_ASSETS` is filled in by build.js).
 * @module
 */

import { BadBundle } from "./errors.js";
import { readVerified } from "./fetch.js";

/**
 * @param {import("./fetch.js").Reader} readAsset
 * @param {string} name
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export function readVerifiedAsset(readAsset, name) {
  const asset = PLAYER_ASSETS[name];
  if (!asset) throw new BadBundle(`${name}: no file of this player`);
  return readVerified(readAsset, { path: name, ...asset });
}
