// What ONNX Runtime's two builds for the browser share.

// part: fetches a file of the page, or says which one is missing. bundle, wasm: the build's two files. providers: what runs
// the network's operators. Returns a function from a float32 input, 1 x 3 x H x W, and its size to {heatmaps, joints, h, w}.
export async function session(part, bundle, wasm, providers) {
  const [file] = await Promise.all(["./model.onnx", bundle, wasm].map(part));
  const ort = await import(bundle);
  // The bundle holds its own loader, so only the WebAssembly itself is named.
  ort.env.wasm.wasmPaths = { wasm: new URL(wasm, import.meta.url).href };
  ort.env.wasm.numThreads = 1;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const network = await ort.InferenceSession.create(bytes, { executionProviders: providers });
  return async (input, [height, width]) => {
    const images = new ort.Tensor("float32", input, [1, 3, height, width]);
    const heatmaps = (await network.run({ [network.inputNames[0]]: images }))[network.outputNames[0]];
    const [, joints, h, w] = heatmaps.dims;
    return { heatmaps: heatmaps.data, joints, h, w };
  };
}
