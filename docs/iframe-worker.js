// A browser starts no Worker for a page that was opened from the disk: the search's runs in a hidden frame there.
// The offline plugin (mkdocs.yml) would fetch such a file from elsewhere, did this one not have its name.
if (location.protocol === "file:") {
  globalThis.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe"), place = new URL(address, location).href.replaceAll("&", "&amp;");
      Object.assign(frame, {hidden: true, srcdoc: `<script src="${place}"></script>`});
      this.scope = new Promise((resolve) => frame.addEventListener("load", () => {
        frame.contentWindow.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", {data}));
        resolve(frame.contentWindow);
      }));
      document.body.append(frame);
    }

    async postMessage(data) {
      (await this.scope).dispatchEvent(new MessageEvent("message", {data}));
    }
  };
}
