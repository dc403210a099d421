import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { sha256, sha256Plain } from "../../exporter/player/sha256.js";

test("every length around the block size gives the platform's digest", () => {
  for (let length = 0; length <= 200; length++) {
    const bytes = randomBytes(length);
    assert.equal(sha256Plain(bytes), createHash("sha256").update(bytes).digest("hex"), `${length} bytes`);
  }
});

test("megabytes, and a view into a larger buffer", () => {
  const bytes = randomBytes(3_000_001).subarray(7);
  assert.equal(sha256Plain(bytes), createHash("sha256").update(bytes).digest("hex"));
});

test("the published digest of abc", async () => {
  // FIPS 180-4, example of one block.
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const bytes = new TextEncoder().encode("abc");
  assert.equal(sha256Plain(bytes), expected);
  assert.equal(await sha256(bytes), expected);
});
