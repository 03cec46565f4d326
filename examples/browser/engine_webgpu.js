// ONNX Runtime's WebGPU build, with the same fused network: it runs on the graphics processor, where the browser has a way
// to it. `load` returns what engine_onnxruntime.js returns; the numbers are float32 there, too.
import { session } from "./onnxruntime.js";

// Why this browser cannot run it, or null.
export async function missing() {
  if (!navigator.gpu) return "this browser has no WebGPU here";
  return (await adapter()) ? null : "this browser has WebGPU, but no graphics processor for it";
}

const adapter = () => navigator.gpu.requestAdapter().catch(() => null);

// What it runs on, for the page to say: some browsers imitate a graphics processor, a thousand times as slowly.
export async function place() {
  const info = (await adapter())?.info;
  const imitated = info?.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|warp/i.test(`${info?.architecture} ${info?.description}`);
  return imitated ? "on a graphics processor that this browser imitates, which is slow" : "on the graphics processor";
}

export const load = (part) =>
  session(part, "./ort/ort.webgpu.bundle.min.mjs", "./ort/ort-wasm-simd-threaded.asyncify.wasm", ["webgpu"]);
