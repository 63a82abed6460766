// The controls and the player. Where clips come from, and videos go to, is the backend's business:
//   about() -> facts (generation/about.py)
//   draw(ask, signal) -> the frames, ImageData[]
//   take(file, signal) -> {source, frames}: what ask.source then names, and the frames as they are read
//   downloads(ask, frames, fps) -> [{name, url}]
import {about, downloads, draw, take} from "./backend.js";

const at = (id) => document.getElementById(id);
const LATENT = ["seed", "truncation", "other", "mix", "content", "motion"];
const screens = {clip: [], source: []};
let facts, source = "", shown = 0, playing = !matchMedia("(prefers-reduced-motion: reduce)").matches, pending = null, travelling = false, since = 0;

function ask() {
  const asked = {};
  if (facts.labels.length) asked.label = Number(at("label").value);
  if (facts.latent) for (const name of LATENT) if (!(name in {content: 0, motion: 0}) || name in facts.parts) asked[name] = Number(at(name).value);
  if (source) asked.source = source;
  return asked;
}

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

// One request at a time: of those made while one is under way, the last.
async function refresh() {
  if (facts.uploads && !source) return;
  if (pending) { pending.again = true; return; }
  const mine = pending = {again: false}, start = performance.now();
  try {
    const asked = ask(), frames = await draw(asked);
    screens.clip = frames;
    at("frame").max = frames.length - 1;
    at("clip-name").textContent = named(asked);
    show();
    links(asked, frames);
    say(`${frames.length} frames in ${((performance.now() - start) / 1000).toFixed(2)} s`);
    document.body.dataset.drawn = JSON.stringify(asked);
  } catch (error) {
    say(error.message, true);
  }
  pending = null;
  if (mine.again) await refresh();
}

function named(asked) {
  const words = [];
  if ("label" in asked) words.push(facts.labels[asked.label]);
  if ("seed" in asked) words.push(asked.mix ? `seed ${asked.seed} → ${asked.other} at ${asked.mix}` : `seed ${asked.seed}`);
  if (asked.content >= 0) words.push(`content ${asked.content}`);
  if (asked.motion >= 0) words.push(`motion ${asked.motion}`);
  return words.join(" · ") || facts.kind;
}

function links(asked, frames) {
  at("downloads").replaceChildren(...downloads(asked, frames, Number(at("fps").value)).map(({name, url}) => {
    const link = document.createElement("a");
    Object.assign(link, {className: "download", href: url, download: `clip.${name.toLowerCase()}`, textContent: `Download ${name}`});
    return link;
  }));
}

function show() {
  const length = screens.clip.length || screens.source.length;
  if (!length) return;
  shown %= length;
  for (const [name, frames] of Object.entries(screens)) {
    if (!frames.length) continue;
    const frame = frames[Math.min(shown, frames.length - 1)], canvas = at(name);
    if (canvas.width !== frame.width || canvas.height !== frame.height) {
      [canvas.width, canvas.height] = [frame.width, frame.height];
      canvas.style.aspectRatio = `${frame.width} / ${frame.height}`;
      canvas.style.imageRendering = frame.width < 256 ? "pixelated" : "auto";
    }
    canvas.getContext("2d").putImageData(frame, 0, 0);
  }
  at("frame").value = shown;
  at("time").textContent = `${shown + 1} / ${length}`;
}

function tick(now) {
  if (playing && now - since >= 1000 / Number(at("fps").value)) {
    since = now;
    shown += 1;
    show();
  }
  requestAnimationFrame(tick);
}

function told(input) {
  const value = at(`${input.id}-value`);
  if (!value) return;
  value.textContent = input.value === "-1" ? "same" : input.value;
  input.ariaValueText = value.textContent;
}

function set(id, value) {
  at(id).value = value;
  told(at(id));
}

async function give(file) {
  if (!file) return;
  say(`reading ${file.name}`);
  try {
    const taken = await take(file);
    source = taken.source;
    screens.source = taken.frames;
    at("given").hidden = false;
    at("given-name").textContent = file.name;
    await refresh();
  } catch (error) {
    say(error.message, true);
  }
}

async function travel() {
  travelling = !travelling;
  at("travel").ariaPressed = travelling;
  for (let step = 0; travelling; step = (step + 1) % 40) {
    set("mix", (step <= 20 ? step : 40 - step) / 20);
    await refresh();
    await new Promise((resolve) => setTimeout(resolve, 120));
  }
}

function play(wanted) {
  playing = wanted;
  at("play").textContent = playing ? "❚❚" : "▶";
  at("play").ariaLabel = playing ? "Pause" : "Play";
}

function connect() {
  for (const input of document.querySelectorAll("#controls input[type=range], #controls select")) {
    told(input);
    input.addEventListener("input", () => {
      told(input);
      if (input.id === "fps") links(ask(), screens.clip); else refresh();
    });
  }
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("shuffle").addEventListener("click", () => { set("seed", Math.floor(Math.random() * 256)); refresh(); });
  at("travel").addEventListener("click", travel);
  at("play").addEventListener("click", () => play(!playing));
  at("frame").addEventListener("input", () => { play(false); shown = Number(at("frame").value); show(); });
  at("file").addEventListener("change", () => give(at("file").files[0]));
  for (const [kind, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
    at("drop").addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", over);
      if (kind === "drop") give(event.dataTransfer.files[0]);
    });
  }
}

try {
  facts = await about();
  document.title = at("title").textContent = facts.title;
  at("facts").textContent = `${facts.kind} · ${facts.frames} frames of ${facts.width}×${facts.height}`;
  at("label").replaceChildren(...facts.labels.map((name, number) => new Option(name, number)));
  at("label-row").hidden = facts.labels.length < 2;
  at("latent-controls").hidden = !facts.latent;
  for (const name of ["content", "motion"]) at(`${name}-row`).hidden = !(name in facts.parts);
  at("upload-row").hidden = !facts.uploads;
  at("upload-name").textContent = facts.given_frames ? `Video of which ${facts.given_frames} frames are continued` : "Video to translate";
  set("fps", Math.round(facts.fps));
  connect();
  play(playing);
  requestAnimationFrame(tick);
  if (facts.lacking.length) say(`It reads ${facts.lacking.join(", ")} too, which this page does not give.`, true);
  else if (facts.uploads) say("Choose a video, or a picture.");
  else await refresh();
} catch (error) {
  say(error.message, true);
}
