/**
 * TF.js' backend in plain JavaScript, with all its kernels.
 * @module
 */

import "@tensorflow/tfjs-backend-cpu";
