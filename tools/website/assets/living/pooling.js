// The arithmetic of litehrnet/pooling.py on one axis; a test compares the two for every pair of sizes up to 96 and 40.
function check(n, m) {
  if (!Number.isInteger(n) || !Number.isInteger(m) || m < 1 || m > n) {
    throw new RangeError(`${n} pixels cannot be pooled to ${m}`);
  }
}

// Kernel and stride of the plain average pooling that turns n pixels into m.
export function poolParams(n, m) {
  check(n, m);
  const stride = Math.floor(n / m);
  return [n - (m - 1) * stride, stride];
}

// Whether computed pooling gives adaptive pooling's values.
export function isExact(n, m) {
  check(n, m);
  return n % m <= 1;
}

// [start, end) of each of adaptive pooling's m windows.
export function adaptiveWindows(n, m) {
  check(n, m);
  return Array.from({ length: m }, (_, i) => [Math.floor((i * n) / m), Math.ceil(((i + 1) * n) / m)]);
}

// The same of computed pooling.
export function computedWindows(n, m) {
  const [kernel, stride] = poolParams(n, m);
  return Array.from({ length: m }, (_, i) => [i * stride, i * stride + kernel]);
}

// How many of the windows differ.
export function differing(n, m) {
  const computed = computedWindows(n, m);
  return adaptiveWindows(n, m).filter(([start, end], i) => start !== computed[i][0] || end !== computed[i][1]).length;
}
