// ONNX Runtime's WebAssembly build, with the fused network. It is fetched when it is asked for. `load` returns what runs
// it: float32 input, 1 x 3 x H x W, and its size to {heatmaps, joints, h, w}.
import { session } from "./onnxruntime.js";

// part: fetches a file of the page, or says which one is missing; ONNX Runtime's own words for that help nobody.
export const load = (part) =>
  session(part, "./ort/ort.wasm.bundle.min.mjs", "./ort/ort-wasm-simd-threaded.wasm", ["wasm"]);
