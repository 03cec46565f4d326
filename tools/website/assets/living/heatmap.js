// The reading of one heatmap, as litehrnet/heatmaps.py reads it: the largest value, then a quarter step. A test
// compares the two. Maps are rows of numbers.
export const STRIDE = 4; // input pixels in one heatmap pixel

// The heatmap of a joint at x, y in input pixels.
export function gaussian(x, y, height, width, sigma = 2) {
  const value = (row, column) => Math.exp(-((column - x / STRIDE) ** 2 + (row - y / STRIDE) ** 2) / (2 * sigma ** 2));
  return Array.from({ length: height }, (_, row) => Array.from({ length: width }, (_, column) => value(row, column)));
}

// {peak, step, joint}: x and y of the first largest value, the quarter step from there, and the joint in input pixels.
export function read(map) {
  let [x, y] = [0, 0];
  map.forEach((row, i) => row.forEach((value, j) => value > map[y][x] && ([x, y] = [j, i])));
  const inside = x > 1 && x < map[0].length - 1 && y > 1 && y < map.length - 1;
  const step = inside
    ? [Math.sign(map[y][x + 1] - map[y][x - 1]) / 4, Math.sign(map[y + 1][x] - map[y - 1][x]) / 4]
    : [0, 0];
  return { peak: [x, y], step, joint: [STRIDE * (x + step[0]), STRIDE * (y + step[1])] };
}
