// The page: read a photograph, let a person choose a box, run the network, draw what it found.
import * as c from "./engine_c.js";
import * as onnxruntime from "./engine_onnxruntime.js";
import * as webgpu from "./engine_webgpu.js";
import { cropPerson, cropTransform, decode, toImage, toInput } from "./pose.js";

const ENGINES = { c, onnxruntime, webgpu };
const LEFT = "#0072B2";
const RIGHT = "#D55E00";
const MIDDLE = "#ffffff";

const element = (id) => document.getElementById(id);
const photo = element("photo");
const pen = photo.getContext("2d");

// about: what model.json says: size, joints (names, skeleton), padding, wholePadding, leastScore, and the engines that
// are here: name, label, bytes of the program and of its weights; the first is the default.
// engine: name of the one in use. wanted: name of the one that was chosen last; it is in use once it is here.
// turn: counts what was asked for; an answer that comes after the next question is dropped.
// people: {box, result} each, in the order in which they were asked for; chosen: whose heatmaps and numbers are shown.
// pending: the box that is being looked at. pointed: {person, k}, the joint under the pointer, or null.
// aside: the boxes that the whole photograph took the place of. places: where each engine runs, in words.
// keyed: {box, instead}, the box that is being moved by keys and the person whose box it was, or null.
const state = {
  about: null, engine: null, wanted: null, image: null, bitmap: null, people: [], chosen: 0, pending: null, pointed: null,
  keyed: null, turn: 0, aside: [], name: "", places: {},
};
const chosen = () => state.people[state.chosen];

let modelIsReady;
const model = new Promise((resolve) => (modelIsReady = resolve));

function say(text, kind = "info") {
  const status = element("status");
  status.textContent = text;
  status.dataset.kind = kind;
}

const READY = "Ready for a photograph.";

// A file of the page, or a sentence that says which one is missing. signal: ends the download. count: is told the bytes
// of each piece that comes.
async function part(url, signal = null, count = null) {
  let answer = null;
  try {
    answer = await fetch(url, { signal });
  } catch (error) {
    if (isStop(error)) throw error;
    throw new Error(`${url} cannot be fetched: is the demo's server still running?`);
  }
  if (!answer.ok) throw new Error(`${url} is missing (HTTP ${answer.status}): run "make demo" again.`);
  if (!count || !answer.body) return answer;
  const counted = new TransformStream({
    transform(bytes, out) {
      count(bytes.byteLength);
      out.enqueue(bytes);
    },
  });
  return new Response(answer.body.pipeThrough(counted), { headers: answer.headers });
}

const isStop = (error) => error.name === "AbortError";

// The bar beside the engines, and words about how far it has come.
function tellBar(value, max, words) {
  Object.assign(element("loaded"), { max, value });
  element("amount").textContent = words;
  element("progress").hidden = false;
}

// Unless a download goes on.
function hideBar() {
  if (Object.values(loads).every(({ ready }) => ready)) element("progress").hidden = true;
}

export async function loadModel() {
  const about = await (await part("./model.json")).json().catch(() => ({}));
  if (!Array.isArray(about.size) || !about.joints || !about.engines?.every(({ name }) => name in ENGINES)) {
    throw new Error('./model.json does not describe the network: run "make demo" again.');
  }
  about.engines = await usable(about.engines);
  for (const { name } of about.engines) state.places[name] = (await ENGINES[name].place?.()) ?? "one thread";
  if (!about.engines.length) throw new Error("This browser can run none of the engines that are here.");
  state.about = about;
  offerEngines();
  element("sample").hidden = !about.sample;
  element("home").hidden = !about.home; // the course, where the page is a part of its site
  if (about.home) element("home").href = about.home;
  await useEngine(about.engines[0].name);
}

// The engines that this browser can run; the page says which are left out, and why.
async function usable(engines) {
  const reasons = await Promise.all(engines.map(({ name }) => ENGINES[name].missing?.() ?? null));
  const left = engines.flatMap(({ label }, k) => (reasons[k] ? [`${label} is not offered: ${reasons[k]}.`] : []));
  element("left-out").textContent = left.join(" ");
  return engines.filter((_, k) => !reasons[k]);
}

// An engine, loaded when it is first needed. loads: {engine, stop, ready} by name: a promise, what ends its download, and
// whether it is here.
const loads = {};
const isReady = (name) => Boolean(loads[name]?.ready);
function engineNamed(name) {
  loads[name] ??= beginLoad(name);
  return loads[name].engine;
}

function beginLoad(name) {
  const stop = new AbortController();
  const all = sizeOf(aboutEngine(name));
  let come = 0;
  const count = (bytes) => {
    come += bytes;
    if (stop.signal.aborted) return;
    tellBar(come, all, come < all ? `${megabytes(come, all)} of ${megabytes(all)}` : `${megabytes(all)}, starting …`);
  };
  const load = { stop, ready: false };
  count(0);
  element("stop").hidden = !state.engine; // the first one has to come
  load.engine = ENGINES[name]
    .load((url) => part(url, stop.signal, count))
    .then(
      (engine) => {
        load.ready = true;
        tellCompare();
        return engine;
      },
      (error) => {
        if (loads[name] === load) delete loads[name]; // the next attempt starts again
        if (isStop(error) || error.message.includes("make demo")) throw error;
        throw new Error(`${labelOf(name)} cannot be loaded (${error.message}): run "make demo" again.`);
      },
    )
    .finally(hideBar);
  return load;
}

// End the downloads of all engines but one.
function endDownloads(but = null) {
  for (const [name, { stop, ready }] of Object.entries(loads)) {
    if (ready || name === but) continue;
    delete loads[name];
    stop.abort();
  }
}

const aboutEngine = (name) => state.about.engines.find((engine) => engine.name === name);
const labelOf = (name) => aboutEngine(name).label;
const sizeOf = ({ bytes, weights }) => bytes + weights;

// Float32 input, 1 x 3 x H x W, to {heatmaps, joints, h, w, milliseconds}. One run at a time: an engine takes no more.
let lastRun = Promise.resolve();
export async function runNetwork(input, name = state.engine) {
  const engine = await engineNamed(name); // before it queues: nobody waits for another one's download
  const run = lastRun.then(async () => {
    const start = performance.now();
    const answer = await engine(input, state.about.size);
    return { ...answer, milliseconds: performance.now() - start };
  });
  lastRun = run.catch(() => {});
  return run;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

// Run all engines in turn on the same input, for a few seconds at most. Returns for each its name, its median
// milliseconds, the median over the rounds of its time divided by the first engine's, and the largest difference of its
// heatmaps from the first engine's, as a fraction of their largest value. signal: ends it.
const SECONDS = 12;
export async function timeAll(input, { rounds = 15, signal = new AbortController().signal } = {}) {
  const names = state.about.engines.map(({ name }) => name);
  const breathe = async () => {
    await new Promise((done) => setTimeout(done)); // the page shows how far it is, and hears its buttons
    signal.throwIfAborted();
  };
  for (const name of names) {
    if (!isReady(name)) say(`Downloading ${labelOf(name)} …`);
    await orStopped(engineNamed(name), signal);
  }
  say("Running them in turn …");
  element("stop").hidden = false;
  tellBar(0, rounds, "first runs");
  const answers = [];
  for (const name of names) {
    await breathe();
    answers.push(await runNetwork(input, name)); // the first run of each takes longer
  }
  const times = names.map(() => []);
  const end = performance.now() + 1000 * SECONDS;
  for (let round = 0; round < rounds && (round < 1 || performance.now() < end); round++) {
    tellBar(round, rounds, `round ${round + 1} of ${rounds}`);
    await breathe();
    for (const [k, name] of names.entries()) times[k].push((await runNetwork(input, name)).milliseconds);
  }
  const largest = (values) => values.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  const first = answers[0].heatmaps;
  return names.map((name, k) => ({
    name,
    milliseconds: median(times[k]),
    ratio: median(times[k].map((time, round) => time / times[0][round])),
    difference: largest(answers[k].heatmaps.map((value, i) => value - first[i])) / largest(first),
  }));
}

function orStopped(promise, signal) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}

// The whole road on one image ({data, width, height} RGBA) and box; joints are in the photograph's pixels. A photograph
// has room around its person already, a box has not: hence two paddings, the same as of `litehrnet predict`.
export async function findPerson(image, box) {
  const { size, padding, wholePadding } = state.about;
  const factor = box.whole ? wholePadding : padding;
  const crop = cropPerson(image, box, size, factor);
  const input = toInput(crop, size);
  const answer = await runNetwork(input);
  const inCrop = decode(answer.heatmaps, answer.joints, answer.h, answer.w);
  return { ...answer, crop, input, joints: toImage(inCrop, cropTransform(box, size, factor)) };
}

export async function openFile(file) {
  const turn = ++state.turn;
  if (!document.body.classList.contains("ready")) say(`Loading the network; “${file.name}” comes next …`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    if (turn !== state.turn) return;
    say(`“${file.name}” is not a photograph that this browser can read (try a JPEG, PNG or WebP file).`, "error");
    return;
  }
  if (turn !== state.turn) return;
  state.name = file.name;
  photo.width = bitmap.width;
  photo.height = bitmap.height;
  state.bitmap = bitmap;
  Object.assign(state, { people: [], chosen: 0, pending: null, pointed: null, keyed: null, aside: [] });
  element("results").hidden = true;
  element("people").hidden = true;
  element("unbox").hidden = true;
  tellCompare();
  paintPhoto();
  try {
    state.image = pen.getImageData(0, 0, bitmap.width, bitmap.height);
  } catch {
    say(`“${file.name}” is too large for this browser: ${bitmap.height}×${bitmap.width} pixels (height×width).`, "error");
    return;
  }
  element("workspace").hidden = false;
  document.body.classList.add("looking"); // on a phone the photograph moves up
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  photo.scrollIntoView({ block: "nearest", behavior: still ? "instant" : "smooth" });
  await useBox(wholePhotograph());
}

// What is transparent becomes white, as in `litehrnet predict`.
function paintPhoto() {
  pen.globalAlpha = 1;
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, photo.width, photo.height);
  pen.drawImage(state.bitmap, 0, 0);
}

const wholePhotograph = () => ({ x: 0, y: 0, width: photo.width, height: photo.height, whole: true });

// Look at one more person, or at another box for the person `instead`. The first box takes the whole photograph's place,
// and the whole photograph that of all boxes.
export async function useBox(box, instead = null) {
  const turn = ++state.turn;
  state.pending = box;
  await model;
  if (turn !== state.turn) return;
  say("Looking …");
  draw();
  const result = await findPerson(state.image, box);
  if (turn !== state.turn) return;
  const boxed = state.people.filter((person) => !person.box.whole);
  if (!box.whole) state.aside = [];
  else if (boxed.length) state.aside = boxed.map((person) => person.box);
  const kept = box.whole ? [] : boxed;
  const found = kept.indexOf(instead);
  const place = found < 0 ? kept.length : found;
  showPeople(kept.toSpliced(place, found < 0 ? 0 : 1, { box, result }), place);
}

// Look at some boxes again: all people with another engine, or those that were put aside.
async function lookAgain(boxes = state.people.map(({ box }) => box)) {
  const turn = ++state.turn;
  const people = [];
  for (const box of boxes) people.push({ box, result: await findPerson(state.image, box) });
  if (turn === state.turn) showPeople(people, Math.min(state.chosen, people.length - 1));
}

function showPeople(people, which) {
  Object.assign(state, { people, chosen: which, pending: null, pointed: null, keyed: null });
  draw();
  drawHeatmaps();
  tellJoints();
  listPeople();
  element("results").hidden = false;
  element("unbox").hidden = !(state.aside.length && chosen().box.whole);
  tellCompare();
  const size = `${state.about.size.join("×")} (height×width)`;
  say(`${shown(chosen().result.milliseconds)} ms in the network with ${labelOf(state.engine)}, input ${size}, ${state.places[state.engine]}.`);
}

// One line per person: choose whose heatmaps are shown, or take the person away.
function listPeople() {
  const list = element("people");
  const boxed = state.people.filter(({ box }) => !box.whole);
  list.hidden = boxed.length === 0;
  list.replaceChildren(
    ...boxed.map(({ box }, k) => {
      const name = `Person ${k + 1}`;
      const sides = `${Math.round(box.height)}×${Math.round(box.width)}`;
      const show = Object.assign(document.createElement("button"), { type: "button", textContent: `${name}, ${sides}` });
      show.setAttribute("aria-pressed", String(k === state.chosen));
      show.addEventListener("click", () => {
        showPeople(state.people, k);
        element("people").children[k].firstChild.focus();
      });
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
      remove.setAttribute("aria-label", `Remove person ${k + 1}`);
      remove.addEventListener("click", () => {
        const left = state.people.filter((_, other) => other !== k);
        if (left.length) showPeople(left, Math.min(state.chosen, left.length - 1));
        else guard(useBox(wholePhotograph()));
      });
      const item = document.createElement("li");
      item.append(show, remove);
      return item;
    }),
  );
}

const shown = (milliseconds) => milliseconds.toFixed(milliseconds < 20 ? 1 : 0);

// Of `all` only the number, in the unit and with the digits of the whole.
function megabytes(bytes, all = null) {
  const most = all ?? bytes;
  const number = most < 1e6 ? Math.round(bytes / 1e3) : (bytes / 1e6).toFixed(most < 1e7 ? 1 : 0);
  return all === null ? `${number} ${most < 1e6 ? "KB" : "MB"}` : `${number}`;
}

// A choice among the engines that are here, where there are several.
function offerEngines() {
  const { engines } = state.about;
  element("engines").hidden = engines.length < 2;
  element("choices").replaceChildren(
    ...engines.map(({ name, label, bytes, weights }) => {
      const choice = document.createElement("label");
      const button = Object.assign(document.createElement("input"), { type: "radio", name: "engine", value: name });
      button.checked = name === state.wanted;
      button.addEventListener("change", () => guard(useEngine(name)));
      choice.append(button, ` ${label} (${megabytes(bytes + weights)})`);
      return choice;
    }),
  );
}

// The engine that is in use stays so until the chosen one is here. A choice ends what was going on before: timing, and
// another one's download.
export async function useEngine(name) {
  state.wanted = name;
  timing?.abort();
  endDownloads(name);
  tickWanted();
  if (state.engine && !isReady(name)) say(`Downloading ${labelOf(name)} …`);
  else if (!state.engine && !state.turn) say(`Loading the network (${megabytes(sizeOf(aboutEngine(name)))}) …`);
  try {
    await engineNamed(name);
  } catch (error) {
    if (name !== state.wanted) return;
    state.wanted = state.engine;
    tickWanted();
    if (isStop(error)) return; // who stopped it has said so
    throw error;
  }
  if (name !== state.wanted) return;
  state.engine = name;
  modelIsReady();
  document.body.classList.add("ready");
  if (state.pending) await useBox(state.pending);
  else if (state.people.length) await lookAgain();
  else if (!state.bitmap) say(READY);
}

function tickWanted() {
  for (const button of document.getElementsByName("engine")) button.checked = button.value === state.wanted;
}

// What the button for the times promises, and whether it can be pressed.
let timing = null; // what ends it
function tellCompare() {
  const { engines } = state.about ?? { engines: [] };
  const away = engines.filter(({ name }) => !isReady(name));
  const bytes = away.reduce((sum, engine) => sum + engine.bytes, 0) + Math.max(0, ...away.map(({ weights }) => weights));
  element("compare").textContent = away.length && engines.length > 1 ? `Time them (downloads ${megabytes(bytes)})` : "Time them";
  element("compare").disabled = engines.length < 2 || !state.people.length || timing !== null;
}

async function compare() {
  const stop = (timing = new AbortController());
  tellCompare();
  element("times").textContent = "";
  try {
    const [first, ...others] = await timeAll(chosen().result.input, { signal: stop.signal });
    const lines = others.map(({ name, milliseconds, ratio, difference }) => {
      const times = ratio > 1 ? `${ratio.toFixed(1)} times as long` : `${(1 / ratio).toFixed(1)} times as fast`;
      const apart = difference ? `differ by ${difference.toExponential(0)} of their largest value` : "are the same";
      return `${labelOf(name)} ${shown(milliseconds)} ms, ${times}; the heatmaps ${apart}.`;
    });
    element("times").textContent = [`${labelOf(first.name)} ${shown(first.milliseconds)} ms.`, ...lines].join(" ");
    say("All ran on the same crop, in turn; the times are medians.");
  } catch (error) {
    if (!isStop(error)) throw error; // who stopped it has said so
  } finally {
    if (timing === stop) timing = null;
    hideBar();
    tellCompare();
  }
}

// End timing and downloads; the engine that is in use stays.
function stopAll() {
  timing?.abort();
  endDownloads();
  hideBar();
  say(`Stopped; ${labelOf(state.engine)} stays in use.`);
}

const nameOf = (k) => state.about.joints.names[k] ?? `joint ${k}`;
const colourOf = (name) => (name.startsWith("left") ? LEFT : name.startsWith("right") ? RIGHT : MIDDLE);

// The photograph, all people, and the box that is being drawn or looked at.
function draw(box = state.pending ?? state.keyed?.box) {
  paintPhoto();
  // Lines look alike on small and large photographs, and are not thinner than this on a small screen.
  const unit = Math.max(Math.max(photo.width, photo.height) / 250, 2.6 * pixel());
  if (state.pointed) drawHeat(state.pointed);
  for (const person of state.people) drawPerson(person, unit, state.people.length > 1 && person === chosen());
  if (box) drawBox(box, unit);
  if (state.pointed) drawLabel(state.pointed, unit);
}

// A pixel of the screen, in pixels of the photograph.
const pixel = () => (photo.clientWidth ? photo.width / photo.clientWidth : 1);

const labelOfJoint = ({ person, k }) => `${nameOf(k)} ${person.result.joints[k].score.toFixed(2)}`;

// Name and score beside a joint: above it, where a finger does not hide them.
function drawLabel(pointed, unit) {
  const { x, y } = pointed.person.result.joints[pointed.k];
  const text = labelOfJoint(pointed);
  const high = 22 * pixel();
  pen.font = `600 ${14 * pixel()}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  const wide = pen.measureText(text).width + high / 2;
  const left = Math.min(Math.max(x - wide / 2, 0), photo.width - wide);
  const above = y - 3 * unit - high;
  const top = above > 0 ? above : y + 3 * unit;
  pen.fillStyle = "#000000cc";
  pen.fillRect(left, top, wide, high);
  pen.fillStyle = "#ffffff";
  pen.fillText(text, left + high / 4, top + high / 2);
}

function drawBox(box, unit, isChosen = false) {
  pen.globalAlpha = 1;
  pen.lineWidth = isChosen ? 2 * unit : unit;
  pen.strokeStyle = "#ffffff";
  pen.setLineDash([4 * unit, 3 * unit]);
  pen.strokeRect(box.x, box.y, box.width, box.height);
  pen.setLineDash([]);
}

function drawPerson({ box, result: { joints } }, unit, isChosen) {
  drawBox(box, unit, isChosen);
  const { leastScore } = state.about;
  pen.lineWidth = unit;
  for (const [a, b] of state.about.joints.skeleton) {
    pen.globalAlpha = Math.min(joints[a].score, joints[b].score) < leastScore ? 0.25 : 0.9;
    pen.strokeStyle = colourOf(nameOf(Math.max(a, b)));
    pen.beginPath();
    pen.moveTo(joints[a].x, joints[a].y);
    pen.lineTo(joints[b].x, joints[b].y);
    pen.stroke();
  }
  joints.forEach(({ x, y, score }, k) => {
    pen.globalAlpha = score < leastScore ? 0.3 : 1;
    pen.fillStyle = colourOf(nameOf(k));
    pen.strokeStyle = "#000000";
    pen.lineWidth = unit / 3;
    pen.beginPath();
    pen.arc(x, y, 1.6 * unit, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  });
  pen.globalAlpha = 1;
}

// One joint's heatmap over the photograph, where the crop was taken.
function drawHeat({ person, k }) {
  const { box, result } = person;
  const { heatmaps, h, w } = result;
  const top = Math.max(...result.joints.map(({ score }) => score), 1e-6);
  const tile = Object.assign(document.createElement("canvas"), { width: w, height: h });
  const heat = new ImageData(w, h);
  for (let i = 0; i < w * h; i++) {
    heat.data.set([255, 190, 40, 230 * Math.min(1, Math.max(0, heatmaps[k * h * w + i] / top))], i * 4);
  }
  tile.getContext("2d").putImageData(heat, 0, 0);
  const { size, padding, wholePadding } = state.about;
  const { scale, shiftX, shiftY } = cropTransform(box, size, box.whole ? wholePadding : padding);
  const step = size[1] / w; // crop pixels in one heatmap pixel, whose centre is that of crop pixel step * k
  const corner = (shift) => (-step / 2 - shift) / scale;
  pen.drawImage(tile, corner(shiftX), corner(shiftY), (w * step) / scale, (h * step) / scale);
}

// The joint nearest to a point of the photograph, {person, k}, if it is near enough to be meant; else null.
function jointAt({ x, y }) {
  let least = (matchMedia("(pointer: coarse)").matches ? 24 : 12) * pixel();
  let best = null;
  for (const person of state.people) {
    person.result.joints.forEach((joint, k) => {
      const distance = Math.hypot(joint.x - x, joint.y - y);
      if (distance < least) [best, least] = [{ person, k }, distance];
    });
  }
  return best;
}

function pointAt(joint) {
  if (joint?.person === state.pointed?.person && joint?.k === state.pointed?.k) return;
  state.pointed = joint;
  draw();
  photo.title = joint ? labelOfJoint(joint) : "";
}

// What `litehrnet predict --json` prints.
export function asJson() {
  const round = (value, digits) => Number(value.toFixed(digits));
  const people = state.people.map(({ box: { x, y, width, height }, result }) => {
    const joints = result.joints.map((joint, k) => ({
      name: nameOf(k), x: round(joint.x, 2), y: round(joint.y, 2), score: round(joint.score, 4),
    }));
    return { box: [x, y, width, height], joints };
  });
  const { size, joints: about } = state.about;
  return JSON.stringify({ photo: state.name, input_size: size, skeleton: about.skeleton, people }, null, 2);
}

function save(blob, suffix) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${state.name.replace(/\.[^.]*$/, "") || "photograph"}${suffix}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function openSample() {
  const { file, box } = state.about.sample;
  const blob = await (await part(`./${file}`)).blob();
  await openFile(new File([blob], file, { type: blob.type }));
  const [x, y, width, height] = box;
  await useBox({ x, y, width, height });
}

// The camera's picture in the page, until a photograph is taken or it is closed.
let stream = null;
async function openCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    const why = error.name === "NotAllowedError" ? "the browser does not allow it" : error.message;
    throw new Error(`The camera cannot be used: ${why}.`);
  }
  element("camera").hidden = false;
  element("view").srcObject = stream;
  await element("view").play();
  element("shoot").focus();
}

function closeCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  element("view").srcObject = null;
  element("camera").hidden = true;
}

async function shoot() {
  const view = element("view");
  const taken = Object.assign(document.createElement("canvas"), { width: view.videoWidth, height: view.videoHeight });
  taken.getContext("2d").drawImage(view, 0, 0);
  closeCamera();
  const blob = await new Promise((done) => taken.toBlob(done, "image/png"));
  await openFile(new File([blob], "camera.png", { type: blob.type }));
}

function drawHeatmaps() {
  const { heatmaps, h, w, crop, joints } = chosen().result;
  const [height, width] = state.about.size;
  const top = heatmaps.reduce((largest, value) => Math.max(largest, value), 1e-6); // one scale for all maps
  element("heatmaps").replaceChildren(
    ...joints.map(({ score }, k) => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      const tile = new ImageData(width, height);
      for (let i = 0; i < width * height; i++) {
        const row = Math.floor(i / width / (height / h));
        const column = Math.floor((i % width) / (width / w));
        const heat = Math.max(0, heatmaps[k * h * w + row * w + column] / top);
        for (let c = 0; c < 3; c++) {
          tile.data[i * 4 + c] = 0.45 * crop[i * 3 + c] * (1 - heat) + heat * [255, 190, 40][c];
        }
        tile.data[i * 4 + 3] = 255;
      }
      canvas.getContext("2d").putImageData(tile, 0, 0);
      const figure = document.createElement("figure");
      const label = document.createElement("figcaption");
      label.textContent = `${nameOf(k)} ${score.toFixed(2)}`;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-label", `Enlarge: ${label.textContent}`);
      button.addEventListener("click", () => enlarge(canvas, label.textContent));
      button.append(canvas);
      figure.append(button, label);
      return figure;
    }),
  );
}

// One heatmap, as large as the screen allows.
function enlarge(map, text) {
  const large = element("large-map");
  Object.assign(large, { width: map.width, height: map.height });
  large.style.setProperty("--ratio", map.width / map.height);
  large.getContext("2d").drawImage(map, 0, 0);
  element("large-label").textContent = text;
  element("large").showModal();
}

function tellJoints() {
  element("joints").replaceChildren(
    ...chosen().result.joints.map(({ x, y, score }, k) => {
      const row = document.createElement("tr");
      for (const text of [nameOf(k), x.toFixed(1), y.toFixed(1), score.toFixed(2)]) {
        row.append(Object.assign(document.createElement("td"), { textContent: text }));
      }
      return row;
    }),
  );
}

function pointOf(event) {
  const frame = photo.getBoundingClientRect();
  const clamp = (value, top) => Math.min(Math.max(value, 0), top);
  return {
    x: clamp(((event.clientX - frame.left) * photo.width) / frame.width, photo.width),
    y: clamp(((event.clientY - frame.top) * photo.height) / frame.height, photo.height),
  };
}

// A box by keys. Enter begins with the chosen person's box, N with a new one; arrows move it, Shift and arrows move its
// right and lower sides, Enter looks, Escape leaves everything as it was.
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const LEAST = 8; // pixels of a box's sides
const TAP = 6; // pixels of the screen that a finger may slip in a tap

function beginKeyed(fresh) {
  const person = fresh || !chosen() || chosen().box.whole ? null : chosen();
  const [width, height] = [Math.round(photo.width / 3), Math.round((2 * photo.height) / 3)];
  const middle = { x: Math.round((photo.width - width) / 2), y: Math.round((photo.height - height) / 2), width, height };
  state.keyed = { box: { ...(person?.box ?? middle) }, instead: person };
  tellKeyed(person ? "The box of the chosen person" : "A new box");
}

function tellKeyed(what = "The box") {
  const { x, y, width, height } = state.keyed.box;
  const [left, top, wide, high] = [x, y, width, height].map(Math.round);
  say(`${what} is ${high}×${wide} pixels (height×width), its corner at ${left}, ${top}: Enter looks, Escape leaves it.`);
  draw(state.keyed.box);
}

function moveKeyed([right, down], resize) {
  const { box } = state.keyed;
  const step = Math.max(1, Math.round(Math.max(photo.width, photo.height) / 50));
  const inside = (value, least, most) => Math.max(least, Math.min(most, value));
  if (resize) {
    box.width = inside(box.width + right * step, LEAST, photo.width - box.x);
    box.height = inside(box.height + down * step, LEAST, photo.height - box.y);
  } else {
    box.x = inside(box.x + right * step, 0, photo.width - box.width);
    box.y = inside(box.y + down * step, 0, photo.height - box.height);
  }
  tellKeyed();
}

function pressed(event) {
  if (!state.people.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = STEPS[event.key];
  if (event.key === "Enter" && state.keyed) {
    const { box, instead } = state.keyed;
    state.keyed = null;
    guard(useBox(box, instead));
  } else if (event.key === "Enter" || event.key.toLowerCase() === "n") beginKeyed(event.key !== "Enter");
  else if (event.key === "Escape" && state.keyed) showPeople(state.people, state.chosen);
  else if (step && state.keyed) moveKeyed(step, event.shiftKey);
  else return;
  event.preventDefault();
}

function boxBetween(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y) };
}

function listen() {
  const zone = element("drop");
  const take = (files) => files.length && guard(openFile(files[0]));
  element("file").addEventListener("change", (event) => take(event.target.files));
  for (const name of ["dragover", "dragenter"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
  }
  document.addEventListener("dragleave", () => zone.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  element("open-camera").hidden = !navigator.mediaDevices?.getUserMedia;
  element("open-camera").addEventListener("click", () => guard(openCamera()));
  element("shoot").addEventListener("click", () => guard(shoot()));
  element("close-camera").addEventListener("click", closeCamera);
  element("sample").addEventListener("click", () => guard(openSample()));
  element("save-json").addEventListener("click", () => {
    if (state.people.length) save(new Blob([asJson()], { type: "application/json" }), ".joints.json");
  });
  element("save-picture").addEventListener("click", () => photo.toBlob((blob) => save(blob, ".joints.png"), "image/png"));
  // By touch a photograph scrolls the page, unless a box is to be drawn.
  const boxing = element("boxing");
  const setBoxing = (on) => {
    photo.classList.toggle("boxing", on);
    boxing.setAttribute("aria-pressed", String(on));
  };
  boxing.addEventListener("click", () => {
    setBoxing(!photo.classList.contains("boxing"));
    if (photo.classList.contains("boxing")) say("Draw from one corner of the person to the opposite one.");
  });
  element("unbox").addEventListener("click", () => guard(lookAgain(state.aside)));
  element("stop").addEventListener("click", stopAll);
  element("large").addEventListener("click", (event) => event.target === element("large") && element("large").close());
  element("whole").addEventListener("click", () => guard(useBox(wholePhotograph())));
  element("compare").addEventListener("click", () => guard(compare()));

  // start: where the pointer went down, {x, y} in the photograph and in the window, whether it may draw, and whether it
  // has moved far enough to mean a box; a press without that chooses the joint there.
  let start = null;
  photo.addEventListener("pointerdown", (event) => {
    const draws = event.pointerType !== "touch" || photo.classList.contains("boxing");
    start = { ...pointOf(event), left: event.clientX, top: event.clientY, draws, moved: false };
    if (draws) photo.setPointerCapture(event.pointerId);
  });
  photo.addEventListener("pointermove", (event) => {
    if (start) {
      start.moved ||= Math.hypot(event.clientX - start.left, event.clientY - start.top) > TAP;
      if (start.moved && start.draws) draw(boxBetween(start, pointOf(event)));
    } else if (event.pointerType !== "touch") pointAt(jointAt(pointOf(event)));
  });
  photo.addEventListener("pointerleave", (event) => start || event.pointerType === "touch" || pointAt(null));
  photo.addEventListener("pointercancel", () => {
    if (start?.draws && start.moved) draw();
    start = null;
  });
  photo.addEventListener("keydown", pressed);
  photo.addEventListener("blur", () => state.keyed && showPeople(state.people, state.chosen));
  photo.addEventListener("pointerup", (event) => {
    if (!start) return; // pressed somewhere else
    const { draws, moved } = start;
    const box = boxBetween(start, pointOf(event));
    start = null;
    if (!moved) {
      pointAt(jointAt(pointOf(event)));
      if (state.pointed) say(labelOfJoint(state.pointed));
    } else if (draws && (box.width < LEAST || box.height < LEAST)) {
      state.turn++; // what is still being looked for was not asked for last
      draw();
      say("That box is smaller than 8 pixels: drag from one corner of the person to the other.", "error");
    } else if (draws) {
      setBoxing(false);
      guard(useBox(box));
    }
  });
}

const guard = (promise) => promise.catch((error) => say(error.message, "error"));

listen();
document.body.classList.add("started");
guard(loadModel());
