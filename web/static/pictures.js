/**
 * Pictures that people open, drop or paste, as pixels; the browser decodes them.
 * @module
 */

/** Larger pictures are made smaller when they are decoded: the ink contract averages to 512. */
const LARGEST_SIDE = 2048;

/**
 * @param {Blob} blob
 * @returns {Promise<ImageData>}
 * @throws {Error} No picture that this browser can read.
 */
async function toPixels(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch (error) {
    const name = blob instanceof File && blob.name ? blob.name : "what was given";
    throw new Error(`${name}: no picture that this browser can read; give a PNG, JPEG, WebP or GIF`, { cause: error });
  }
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * Calls `take` with every picture file that is chosen, dropped on the page or pasted.
 * @param {HTMLInputElement} input
 * @param {(blob: Blob) => void} take
 */
function collectPictures(input, take) {
  const takeChosen = () => {
    if (input.files?.[0]) take(input.files[0]);
    input.value = "";
  };
  input.addEventListener("change", takeChosen);
  // Somebody may have been faster than the page.
  takeChosen();
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) take(file);
  });
}

/**
 * Has every such picture read by the element.
 * @param {HTMLInputElement} input
 * @param {any} pad
 * @param {Element} told Says what is going on.
 */
export function readPictures(input, pad, told) {
  collectPictures(input, async (blob) => {
    told.textContent = "Reading the picture.";
    try {
      const { label } = await pad.read(await toPixels(blob));
      told.textContent = label === null ? "No ink was found in that picture." : "";
    } catch (error) {
      told.textContent = error instanceof Error ? error.message : String(error);
    }
  });
}
