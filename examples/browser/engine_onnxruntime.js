// ONNX Runtime's WebAssembly build, with the fused network. It is fetched when it is asked for. `load` returns what runs
// it: float32 input, 1 x 3 x H x W, and its size to {heatmaps, joints, h, w}.
const BUNDLE = "./ort/ort.wasm.bundle.min.mjs";
const WASM = "./ort/ort-wasm-simd-threaded.wasm";

// part: fetches a file of the page, or says which one is missing; ONNX Runtime's own words for that help nobody.
export async function load(part) {
  const [file] = await Promise.all(["./model.onnx", BUNDLE, WASM].map(part));
  const ort = await import(BUNDLE);
  // The bundle holds its own loader, so only the WebAssembly itself is named.
  ort.env.wasm.wasmPaths = { wasm: new URL(WASM, import.meta.url).href };
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(new Uint8Array(await file.arrayBuffer()));
  return async (input, [height, width]) => {
    const images = new ort.Tensor("float32", input, [1, 3, height, width]);
    const heatmaps = (await session.run({ [session.inputNames[0]]: images }))[session.outputNames[0]];
    const [, joints, h, w] = heatmaps.dims;
    return { heatmaps: heatmaps.data, joints, h, w };
  };
}
