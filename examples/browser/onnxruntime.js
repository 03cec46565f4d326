// What ONNX Runtime's two builds for the browser share.

// part: fetches a file of the page, or says which one is missing. bundle, wasm: the build's two files. providers: what runs
// the network's operators. Returns a function from a float32 input, 1 x 3 x H x W, and its size to {heatmaps, joints, h, w}.
export async function session(part, bundle, wasm, providers) {
  const urls = ["./model.onnx", wasm, bundle]; // the bundle's text is imported from the browser's cache
  const [weights, binary] = await Promise.all(urls.map(async (url) => (await part(url)).arrayBuffer()));
  const ort = await import(bundle);
  ort.env.wasm.wasmBinary = binary; // or it would fetch the file once more; the bundle holds its own loader
  ort.env.wasm.numThreads = 1;
  const network = await ort.InferenceSession.create(new Uint8Array(weights), { executionProviders: providers });
  return async (input, [height, width]) => {
    const images = new ort.Tensor("float32", input, [1, 3, height, width]);
    const heatmaps = (await network.run({ [network.inputNames[0]]: images }))[network.outputNames[0]];
    const [, joints, h, w] = heatmaps.dims;
    return { heatmaps: heatmaps.data, joints, h, w };
  };
}
