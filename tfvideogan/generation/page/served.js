// The backend of `tfvideogan play`: clips are drawn by the program that serves this page (playground/server.py).
let size = [1, 1], length = 1;

async function got(address, options) {
  const answer = await fetch(address, options);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

// A PNG of frames, row by row, taken apart.
async function frames(address, most) {
  const picture = await createImageBitmap(await (await got(address)).blob(), {colorSpaceConversion: "none"});
  const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  const [width, height] = size, across = picture.width / width, count = Math.min(most, across * (picture.height / height));
  return Array.from({length: count}, (_, n) => context.getImageData((n % across) * width, Math.floor(n / across) * height, width, height));
}

export async function about() {
  const facts = await (await got("about")).json();
  [size, length] = [[facts.width, facts.height], facts.frames];
  return facts;
}

export const draw = (ask) => frames(`clip.png?${new URLSearchParams(ask)}`, length);

export async function take(file) {
  const {source, frames: count} = await (await got(`source?${new URLSearchParams({name: file.name})}`, {method: "POST", body: file})).json();
  return {source, frames: await frames(`source.png?${new URLSearchParams({source})}`, count)};
}

export const downloads = (ask, _, fps) =>
  ["GIF", "MP4"].map((name) => ({name, url: `clip.${name.toLowerCase()}?${new URLSearchParams({...ask, fps})}`}));
