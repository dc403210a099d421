/**
 * TF.js' backend on WebGPU, with all its kernels. It exists only where a page has WebGPU.
 * @module
 */

import "@tensorflow/tfjs-backend-webgpu";
