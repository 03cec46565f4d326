// node c_wasm.cjs MODULE.wasm MODEL.lhr HEIGHT WIDTH IMAGE HEATMAPS: raw floats in, raw floats out, as c_heatmaps.c.
const { readFileSync, writeFileSync } = require("node:fs");

const [engine, model, height, width, image, heatmaps] = process.argv.slice(2);

async function main() {
  const { instance } = await WebAssembly.instantiate(readFileSync(engine), {}); // nothing is imported
  const c = instance.exports;
  const bytes = () => new Uint8Array(c.memory.buffer); // anew each time: growing memory makes a new buffer
  const pointer = (at) => new DataView(c.memory.buffer).getUint32(at, true);
  const copied = (content) => {
    const at = c.malloc(content.length);
    bytes().set(content, at);
    return at;
  };
  const check = (code) => {
    if (!code) return;
    const text = bytes().subarray(c.lhr_error_text(code));
    throw new Error(Buffer.from(text.subarray(0, text.indexOf(0))).toString());
  };
  const content = readFileSync(model);
  const file = copied(content);
  const slot = c.malloc(4);
  check(c.lhr_load_memory(slot, file, content.length));
  c.free(file);
  const network = pointer(slot);
  for (const size of [32, 0]) {
    // Another size first, so that its memory is used again.
    check(c.lhr_context_new(slot, network, size || Number(height), size || Number(width), 1));
    if (size) c.lhr_context_free(pointer(slot));
  }
  const context = pointer(slot);
  const pixels = Math.ceil(height / 4) * Math.ceil(width / 4);
  const maps = c.malloc(4 * c.lhr_joints(network) * pixels);
  const input = copied(readFileSync(image));
  check(c.lhr_run(context, input, 1, maps));
  writeFileSync(heatmaps, bytes().subarray(maps, maps + 4 * c.lhr_joints(network) * pixels));
  c.lhr_context_free(context);
  c.lhr_free(network);
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
