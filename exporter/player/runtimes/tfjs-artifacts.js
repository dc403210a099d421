/**
 * A TF.js `model.json` and its shards, read from a bundle and verified, as TF.js wants them in
 * memory: it never fetches anything itself.
 * @module
 */

import { io } from "@tensorflow/tfjs-core";
import { readVerified } from "../fetch.js";
import { fileOf, parseJson, want } from "../manifest.js";

/**
 * @param {import("../fetch.js").Reader} read
 * @param {import("../manifest.js").Artifact} artifact
 * @returns {Promise<io.ModelArtifacts>}
 */
export async function readArtifacts(read, artifact) {
  const fetchFile = (/** @type {string} */ path) => readVerified(read, fileOf(artifact, path));
  const text = new TextDecoder().decode(await fetchFile(artifact.path));
  const document = want(parseJson(text, artifact.path), "object", artifact.path);
  const folder = artifact.path.slice(0, artifact.path.lastIndexOf("/") + 1);
  return io.getModelArtifactsForJSON(document, async (groups) => {
    const paths = groups.flatMap((group) => group.paths.map((path) => folder + path));
    const shards = await Promise.all(paths.map(fetchFile));
    return [groups.flatMap((group) => group.weights), join(shards)];
  });
}

/**
 * One buffer: given a list whose last is longer than the others, TF.js 4.22 reads zeros
 * (CompositeArrayBuffer takes the first one's size for all).
 * @param {Uint8Array<ArrayBuffer>[]} shards
 */
function join(shards) {
  const joined = new Uint8Array(shards.reduce((size, shard) => size + shard.length, 0));
  let offset = 0;
  for (const shard of shards) {
    joined.set(shard, offset);
    offset += shard.length;
  }
  return joined.buffer;
}
