// The same crop, normalisation and decoding as litehrnet/heatmaps.py, on plain arrays: no page, no network.
// Integer coordinates are pixel centres; heatmap pixel h is input pixel 4 h. Sizes are height before width, points x
// before y.

export const MEAN = [123.675, 116.28, 103.53];
export const STD = [58.395, 57.12, 57.375];
export const STRIDE = 4;

// Scale and shifts that take (x, y) of the photograph to the crop: x' = scale * x + shiftX.
// box: {x, y, width, height} in the photograph's pixels; size: [height, width] of the crop; the box's sides are
// multiplied by padding.
export function cropTransform(box, size, padding) {
  const [height, width] = size;
  const scale = Math.min(width / box.width, height / box.height) / padding;
  return {
    scale,
    shiftX: width / 2 - scale * (box.x + box.width / 2),
    shiftY: height / 2 - scale * (box.y + box.height / 2),
  };
}

// Sample the photograph bilinearly, black outside. image: {data: RGBA bytes, width, height}.
// Returns RGB bytes, height x width x 3.
export function cropPerson(image, box, size, padding) {
  const [height, width] = size;
  const { scale, shiftX, shiftY } = cropTransform(box, size, padding);
  const crop = new Uint8Array(height * width * 3);
  const value = (x, y, c) =>
    x < 0 || y < 0 || x >= image.width || y >= image.height ? 0 : image.data[(y * image.width + x) * 4 + c];
  for (let row = 0; row < height; row++) {
    const y = (row - shiftY) / scale;
    const y0 = Math.floor(y);
    const fy = y - y0;
    for (let column = 0; column < width; column++) {
      const x = (column - shiftX) / scale;
      const x0 = Math.floor(x);
      const fx = x - x0;
      for (let c = 0; c < 3; c++) {
        const top = value(x0, y0, c) * (1 - fx) + value(x0 + 1, y0, c) * fx;
        const bottom = value(x0, y0 + 1, c) * (1 - fx) + value(x0 + 1, y0 + 1, c) * fx;
        crop[(row * width + column) * 3 + c] = top * (1 - fy) + bottom * fy;
      }
    }
  }
  return crop;
}

// RGB bytes, height x width x 3, to the network's float32 input, 1 x 3 x height x width.
export function toInput(crop, size) {
  const pixels = size[0] * size[1];
  const input = new Float32Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) {
      input[c * pixels + i] = (crop[i * 3 + c] - MEAN[c]) / STD[c];
    }
  }
  return input;
}

// Heatmaps, joints x h x w, to [{x, y, score}] in input pixels: the peak, a quarter of a heatmap pixel towards the
// larger neighbour; peaks in the first two and in the last row and column stay. Equal maxima that touch are one plateau,
// whose centre is the joint.
export function decode(maps, joints, h, w) {
  const found = [];
  for (let k = 0; k < joints; k++) {
    const map = maps.subarray(k * h * w, (k + 1) * h * w);
    let peak = 0;
    for (let i = 1; i < map.length; i++) {
      if (map[i] > map[peak]) peak = i;
    }
    let x = peak % w;
    let y = (peak - x) / w;
    const pixels = plateau(map, peak, h, w);
    if (pixels.length > 1) {
      x = pixels.reduce((sum, i) => sum + (i % w), 0) / pixels.length;
      y = pixels.reduce((sum, i) => sum + Math.floor(i / w), 0) / pixels.length;
    } else if (x > 1 && x < w - 1 && y > 1 && y < h - 1) {
      x += 0.25 * Math.sign(map[peak + 1] - map[peak - 1]);
      y += 0.25 * Math.sign(map[peak + w] - map[peak - w]);
    }
    found.push({ x: STRIDE * x, y: STRIDE * y, score: map[peak] });
  }
  return found;
}

// All pixels as high as `peak` that can be reached from it, as a king moves.
function plateau(map, peak, h, w) {
  const reached = new Set([peak]);
  for (const i of reached) {  // a Set's loop visits what is added to it
    const x = i % w;
    const y = (i - x) / w;
    for (let row = Math.max(0, y - 1); row <= Math.min(h - 1, y + 1); row++) {
      for (let column = Math.max(0, x - 1); column <= Math.min(w - 1, x + 1); column++) {
        if (map[row * w + column] === map[peak]) reached.add(row * w + column);
      }
    }
  }
  return [...reached];
}

// Joints from the crop back to the photograph.
export function toImage(joints, { scale, shiftX, shiftY }) {
  return joints.map(({ x, y, score }) => ({ x: (x - shiftX) / scale, y: (y - shiftY) / scale, score }));
}
