/**
 * What another site copies to have this very model: the element, or a frame. Pure; imports nothing.
 * @module
 */

/**
 * @param {string} base Address of the folder that holds player/ and models/, with its last slash.
 * @param {string} name The bundle's.
 * @param {string} integrity Of player/digit-pad.js, as in `integrity.json`.
 */
export function elementSnippet(base, name, integrity) {
  return `<script type="module" src="${base}player/digit-pad.js"
  integrity="${integrity}" crossorigin="anonymous"></script>
<digit-pad src="${base}models/${encodeURIComponent(name)}/manifest.json"></digit-pad>`;
}

/** @type {(base: string, name: string) => string} */
export function frameSnippet(base, name) {
  const address = `${base}embed/${encodeURIComponent(name)}`;
  return `<iframe src="${address}" title="Draw a digit" width="720" height="520" loading="lazy"></iframe>`;
}
