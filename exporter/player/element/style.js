/**
 * The element's looks, as an adopted style sheet: a policy without inline styles does not block it.
 * Imports nothing.
 * @module
 */

const CSS = `
:host {
  --_accent: var(--digit-pad-accent, light-dark(#0b62a4, #6cb6ec));
  --_text: var(--digit-pad-text, light-dark(#191c20, #e9ebee));
  --_soft: var(--digit-pad-soft, light-dark(#5a626d, #a4acb7));
  --_surface: var(--digit-pad-surface, light-dark(#ffffff, #15181c));
  --_paper: var(--digit-pad-paper, light-dark(#f5f6f8, #1e2227));
  --_ink: var(--digit-pad-ink, light-dark(#14171b, #f4f5f7));
  --_line: var(--digit-pad-line, light-dark(#d9dde2, #363c44));
  --_radius: var(--digit-pad-radius, 12px);
  display: block;
  container-type: inline-size;
  color: var(--_text);
  background: var(--_surface);
  font: 400 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
  text-align: start;
}
:host([hidden]) { display: none; }
*, ::before, ::after { box-sizing: border-box; }
.pad { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
.board { position: relative; width: 100%; max-width: var(--digit-pad-size, 26rem); }
.side { display: grid; gap: .5rem; width: 100%; max-width: var(--digit-pad-size, 26rem); margin-inline: auto; }
.board canvas {
  display: block; width: 100%; aspect-ratio: 1; border-radius: var(--_radius);
  background: var(--_paper); color: var(--_ink); box-shadow: inset 0 0 0 1px var(--_line);
  cursor: crosshair; touch-action: none; user-select: none; -webkit-user-select: none;
  -webkit-touch-callout: none; outline-color: var(--_accent);
}
.board canvas:focus-visible, button:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
.hint {
  position: absolute; inset: 0; margin: 0; display: grid; place-content: center; padding: 1rem;
  color: var(--_soft); text-align: center; pointer-events: none; font-size: 1.0625rem;
}
.hint[hidden] { display: none; }
.tools { position: absolute; inset: .5rem .5rem auto auto; display: flex; gap: .125rem; }
button {
  min-width: 2.75rem; min-height: 2.75rem; padding: 0; border: 0; border-radius: 8px; font: inherit;
  color: var(--_soft); background: transparent; cursor: pointer; display: inline-grid; place-content: center;
  touch-action: manipulation;
}
button svg { width: 1.25rem; height: 1.25rem; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
button:disabled { opacity: .35; cursor: default; }
@media (hover: hover) {
  button:not(:disabled):hover { color: var(--_text); background: color-mix(in srgb, var(--_text) 8%, transparent); }
}
.panel { display: grid; gap: 1rem; align-content: start; }
.verdict { display: grid; grid-template-columns: auto minmax(0, 1fr) auto; gap: .25rem 1rem; align-items: center; }
.answer { font-size: 4.5rem; line-height: 1; font-weight: 650; letter-spacing: -.03em; min-width: 1ch; text-align: center; }
.answer.empty { color: var(--_line); }
.confidence { margin: 0; color: var(--_soft); min-height: 2.9em; display: grid; align-content: center; }
.confidence strong { display: block; color: var(--_text); font-weight: 600; }
figure { margin: 0; }
.seen canvas { display: block; width: 84px; height: 84px; image-rendering: pixelated; border-radius: 6px; background: #000; }
figcaption { font-size: .75rem; color: var(--_soft); margin-top: .25rem; text-align: center; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: .1875rem; }
.bar { display: grid; grid-template-columns: minmax(1.25rem, max-content) minmax(0, 1fr) 3.25rem; gap: .625rem; align-items: center; font-size: .875rem; line-height: 1.35; }
.bar > :last-child { text-align: end; color: var(--_soft); white-space: nowrap; }
.track { height: .625rem; border-radius: 999px; background: var(--_paper); box-shadow: inset 0 0 0 1px color-mix(in srgb, var(--_line) 60%, transparent); overflow: hidden; }
.fill { height: 100%; width: 100%; transform-origin: 0 50%; transform: scaleX(var(--p, 0)); background: color-mix(in srgb, var(--_soft) 65%, transparent); }
.bar.best { font-weight: 600; }
.bar.best > :last-child { color: var(--_text); }
.bar.best .fill { background: var(--_accent); }
.samples { display: flex; align-items: center; gap: 0; min-width: 0; font-size: .875rem; color: var(--_soft); }
.samples > span { flex: none; margin-inline-end: .375rem; }
.samples button { flex: 0 1 2.25rem; min-width: 1.5rem; min-height: 2.25rem; color: var(--_accent); }
.status { margin: 0; font-size: .8125rem; color: var(--_soft); overflow-wrap: anywhere; }
.status.error { color: light-dark(#a63a00, #ff9a5c); }
.heard { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (prefers-reduced-motion: no-preference) { .fill { transition: transform 90ms linear; } }
@media (pointer: coarse) { .samples button { min-height: 2.75rem; } }
@container (max-width: 26rem) { .samples > span { display: none; } .samples button { flex: 1 1 0; } }
@container (min-width: 38rem) {
  .pad { grid-template-columns: minmax(0, var(--digit-pad-size, 26rem)) minmax(0, 1fr); column-gap: clamp(1.5rem, 4cqi, 3rem); }
  .side { margin-inline: 0; }
}
@container (max-width: 19rem) {
  .verdict { gap: .25rem .75rem; }
  .answer { font-size: 3.5rem; }
  .seen canvas { width: 64px; height: 64px; }
}
@media (forced-colors: active) {
  .board canvas { background: Canvas; color: CanvasText; outline-color: Highlight; border: 0; box-shadow: none; outline: 1px solid CanvasText; }
  .board canvas:focus-visible { outline: 3px solid Highlight; }
  .track { border: 1px solid CanvasText; background: Canvas; }
  .fill { forced-color-adjust: none; background: CanvasText; }
  .bar.best .fill { background: Highlight; }
  .answer.empty { color: GrayText; }
  button { color: ButtonText; }
  button:disabled { color: GrayText; opacity: 1; }
}
`;

/** @type {CSSStyleSheet | null} */
let sheet = null;

/** One sheet for all elements of the page. */
export function styleSheet() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
