/**
 * Mouse, finger and pen become one thing: points in CSS pixels of the canvas. Imports nothing.
 * @module
 */

/**
 * @typedef {import("./drawing.js").Point} Point
 *
 * @typedef {object} PenHandlers
 * @property {(point: Point, pressure: number | null) => void} begin
 * @property {(point: Point, pressure: number | null) => void} extend
 * @property {() => void} end
 * @property {() => void} cancel
 */

/**
 * Follow one pointer at a time, also outside of the canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {PenHandlers} handlers
 */
export function followPen(canvas, handlers) {
  /** @type {number | null} */
  let followed = null;

  canvas.addEventListener("pointerdown", (event) => {
    // A second finger, or a palm beside the pen, draws nothing.
    if (followed !== null || !event.isPrimary || event.button !== 0) return;
    followed = event.pointerId;
    canvas.setPointerCapture(followed);
    handlers.begin(placeOf(canvas, event), pressureOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== followed) return;
    // Browsers send one event per frame; the points in between are those of a fast hand.
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length > 0 ? all : [event]) handlers.extend(placeOf(canvas, one), pressureOf(one));
  });
  canvas.addEventListener("pointerup", (event) => {
    if (event.pointerId !== followed) return;
    followed = null;
    handlers.end();
  });
  canvas.addEventListener("pointercancel", (event) => {
    if (event.pointerId !== followed) return;
    followed = null;
    handlers.cancel();
  });
}

/**
 * Where it is on the canvas, whatever zooms or turns the page around it by scale.
 * @type {(canvas: HTMLCanvasElement, event: PointerEvent) => Point}
 */
function placeOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const [across, down] = [canvas.offsetWidth / box.width || 1, canvas.offsetHeight / box.height || 1];
  return [
    (event.clientX - box.left) * across - canvas.clientLeft,
    (event.clientY - box.top) * down - canvas.clientTop,
  ];
}

/** Mice report a constant, fingers what they like: only a pen's pressure is one. @param {PointerEvent} event */
function pressureOf(event) {
  return event.pointerType === "pen" && event.pressure > 0 ? event.pressure : null;
}
