// The backend of `export --format=web`: clips are drawn in the browser, by onnxruntime-web from a CDN, of this version and no other.
const RUNTIME = "https://cdn.jsdelivr.net/npm/onnxruntime-web@1.30.0/dist/";
const PARTS = {
  "ort.wasm.bundle.min.mjs": "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
  "ort-wasm-simd-threaded.wasm": "sha384-vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
};
let ort, session, facts, table;
const videos = [];

// A file of the runtime, which the browser refuses if it is not the one of this hash.
async function part(name) {
  return (await fetch(RUNTIME + name, {integrity: PARTS[name]})).blob();
}

export async function about() {
  const [module, wasm] = await Promise.all(Object.keys(PARTS).map(part));
  ort = await import(URL.createObjectURL(new Blob([module], {type: "text/javascript"})));
  ort.env.wasm.wasmBinary = await wasm.arrayBuffer();
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? 0 : 1; // several need headers that a static host may not send
  facts = await (await fetch("about.json")).json();
  table = new Float32Array(await (await fetch("latents.bin")).arrayBuffer());
  session = await ort.InferenceSession.create("model.onnx");
  return facts;
}

const ofSeed = (seed) => table.subarray(seed * facts.latent, (seed + 1) * facts.latent);

// Abramowitz and Stegun, 7.1.26: to 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

// The table holds what latents are mixed in: normal numbers, or of a uniform distribution what erf takes to it (ops/latent.py).
function latent({seed, other, mix, content = -1, motion = -1, truncation}) {
  const made = (x) => facts.distribution === "N(0,1)" ? x : erf(x);
  const [first, last] = [Math.sin(Math.PI / 2 * (1 - mix)), Math.sin(Math.PI / 2 * mix)];
  const z = Float32Array.from(ofSeed(seed), (x, n) => made(first * x + last * ofSeed(other)[n]));
  for (const [name, of] of [["content", content], ["motion", motion]]) {
    if (of >= 0) for (let n = facts.parts[name][0]; n < facts.parts[name][1]; n++) z[n] = made(ofSeed(of)[n]);
  }
  return z.map((x) => truncation * x);
}

// Named inputs -> the clip, float32 [T,H,W,3] in [0,1].
export async function generate(inputs) {
  const fed = Object.fromEntries(Object.entries(facts.inputs).map(([name, {type, shape}]) => [name, new ort.Tensor(type, inputs[name], [1, ...shape])]));
  return (await session.run(fed)).video.data;
}

export async function draw(ask) {
  const inputs = {};
  if ("z" in facts.inputs) inputs.z = latent(ask);
  if ("label" in facts.inputs) inputs.label = Int32Array.of(ask.label ?? 0);
  for (const name of ["first_frames", "source"]) if (name in facts.inputs) inputs[name] = videos[Number(ask.source) - 1];
  return pictures(await generate(inputs));
}

function pictures(clip) {
  const {width, height} = facts, pixels = width * height;
  return Array.from({length: clip.length / (3 * pixels)}, (_, t) => {
    const picture = new ImageData(width, height);
    for (let n = 0; n < pixels; n++) {
      for (let c = 0; c < 3; c++) picture.data[4 * n + c] = Math.round(255 * clip[3 * (t * pixels + n) + c]);
      picture.data[4 * n + 3] = 255;
    }
    return picture;
  });
}

// The middle of a video's frames, scaled to cover and cut; a picture stands still.
export async function take(file) {
  const count = (facts.inputs.first_frames ?? facts.inputs.source).shape[0], {width, height} = facts;
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  const values = new Float32Array(count * height * width * 3), frames = [];
  const add = (image, w, h) => {
    const scale = Math.max(width / w, height / h);
    context.drawImage(image, (width - w * scale) / 2, (height - h * scale) / 2, w * scale, h * scale);
    const frame = context.getImageData(0, 0, width, height);
    for (let n = 0; n < width * height; n++) for (let c = 0; c < 3; c++) values[3 * (frames.length * width * height + n) + c] = frame.data[4 * n + c] / 255;
    frames.push(frame);
  };
  if (file.type.startsWith("image/")) {
    const image = await createImageBitmap(file);
    for (let t = 0; t < count; t++) add(image, image.width, image.height);
  } else {
    const video = Object.assign(document.createElement("video"), {muted: true, src: URL.createObjectURL(file)});
    await new Promise((resolve, reject) => {
      video.onloadeddata = resolve;
      video.onerror = () => reject(new Error("this browser cannot decode the video"));
    });
    for (let t = 0; t < count; t++) {
      const seconds = Math.max(0, (video.duration - count / facts.fps) / 2) + t / facts.fps;
      await new Promise((resolve) => { video.onseeked = resolve; video.currentTime = Math.min(seconds, video.duration - 1e-3); });
      add(video, video.videoWidth, video.videoHeight);
    }
  }
  return {source: String(videos.push(values)), frames};
}

export function downloads(ask, frames) {
  if (!frames.length) return [];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [facts.width * frames.length, facts.height];
  frames.forEach((frame, t) => canvas.getContext("2d").putImageData(frame, t * facts.width, 0));
  return [{name: "PNG", url: canvas.toDataURL("image/png")}];
}
