// The network in one C file (litehrnet/c), compiled to a WebAssembly module that imports nothing. `load` returns what
// runs it: float32 input, 1 x 3 x H x W, and its size to {heatmaps, joints, h, w}.

// part: fetches a file of the page, or says which one is missing.
export async function load(part) {
  const [module, weights] = await Promise.all(
    ["./litehrnet.wasm", "./model.lhr"].map(async (url) => (await part(url)).arrayBuffer()),
  );
  const c = (await WebAssembly.instantiate(module, {})).instance.exports;
  // Memory that grows is another buffer, so a view is made for each use.
  const bytes = (at, count) => new Uint8Array(c.memory.buffer, at, count);
  const floats = (at, count) => new Float32Array(c.memory.buffer, at, count);
  const pointer = (at) => new DataView(c.memory.buffer).getUint32(at, true);
  const check = (code) => {
    if (!code) return;
    const at = c.lhr_error_text(code);
    const text = new Uint8Array(c.memory.buffer, at);
    throw new Error(new TextDecoder().decode(text.slice(0, text.indexOf(0))));
  };
  const reserve = (count) => {
    const at = c.malloc(count);
    if (!at) throw new Error("there is not enough memory");
    return at;
  };

  const slot = reserve(4); // where functions leave a pointer
  const file = reserve(weights.byteLength);
  bytes(file, weights.byteLength).set(new Uint8Array(weights));
  check(c.lhr_load_memory(slot, file, weights.byteLength));
  c.free(file);
  const network = pointer(slot);
  const joints = c.lhr_joints(network);

  let plan = null; // buffers of the last size
  function planFor([height, width]) {
    if (plan?.height === height && plan.width === width) return plan;
    if (plan) {
      c.lhr_context_free(plan.context);
      c.free(plan.input);
      c.free(plan.maps);
      plan = null;
    }
    check(c.lhr_context_new(slot, network, height, width, 1));
    const [context, h, w] = [pointer(slot), Math.ceil(height / 4), Math.ceil(width / 4)];
    plan = { height, width, h, w, context, input: reserve(12 * height * width), maps: reserve(4 * joints * h * w) };
    return plan;
  }

  return async (input, size) => {
    const { h, w, context, input: image, maps } = planFor(size);
    floats(image, input.length).set(input);
    check(c.lhr_run(context, image, 1, maps));
    return { heatmaps: floats(maps, joints * h * w).slice(), joints, h, w };
  };
}
