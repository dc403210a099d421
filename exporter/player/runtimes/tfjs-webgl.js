/**
 * TF.js' backend on WebGL, with all its kernels. It exists only where a page has WebGL.
 * @module
 */

import "@tensorflow/tfjs-backend-webgl";
