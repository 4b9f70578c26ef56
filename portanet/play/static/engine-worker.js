// The engine in the browser: the same messages, answered by the same Python in a worker.

export class WorkerEngine {
  constructor() {
    this.onframe = () => {};
    this.onlost = () => {};
    this.onprogress = () => {};
    this.waiting = new Map();
    this.count = 0;
  }

  start() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    return new Promise((resolve, reject) => {
      this.worker.onerror = (event) => reject(new Error(event.message || "worker"));
      this.worker.onmessage = ({ data }) => {
        if (data.type === "ready") resolve();
        else if (data.type === "failed") reject(new Error(data.text));
        else if (data.type === "progress") this.onprogress(data.text);
        else if (data.type === "frame") this.onframe(JSON.parse(data.text));
        else this.answered(data.id, JSON.parse(data.text));
      };
    });
  }

  answered(id, found) {
    const { resolve, reject } = this.waiting.get(id);
    this.waiting.delete(id);
    if ("error" in found) reject(new Error(found.error));
    else resolve(found.result);
  }

  call(method, args = {}) {
    return new Promise((resolve, reject) => {
      this.waiting.set(++this.count, { resolve, reject });
      this.worker.postMessage({ id: this.count, method, args: JSON.stringify(args) });
    });
  }

  play(args) {
    return this.call("play", args);
  }

  pause() {
    return this.call("pause");
  }
}
