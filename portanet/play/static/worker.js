// Python in a web worker: Pyodide and portanet, each file checked against the SHA-256 in runtime.json.

const FRAME = 25; // milliseconds from one frame to the next, at least
let python;
let playing = null;

function say(text) {
  postMessage({ type: "progress", text });
}

async function bytes(place, sha256) {
  const found = await fetch(new URL(place, import.meta.url));
  if (!found.ok) throw new Error(`${place}: ${found.status}`);
  const data = await found.arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== sha256) throw new Error(`${place}: its SHA-256 is not the expected one; it is not used`);
  return data;
}

async function load() {
  const runtime = await (await fetch(new URL("runtime.json", import.meta.url))).json();
  say(`Pyodide ${runtime.version}`);
  const data = {};
  const files = Object.entries(runtime.files);
  await Promise.all(files.map(async ([name, { url, sha256 }]) => (data[name] = await bytes(url, sha256))));
  const link = (name, type) => URL.createObjectURL(new Blob([data[name]], { type }));
  await import(link("pyodide.asm.js", "text/javascript")); // what it defines is then not loaded from elsewhere
  const { loadPyodide } = await import(link("pyodide.mjs", "text/javascript"));
  const own = self.fetch; // Pyodide asks for its files by name: it gets those that were checked
  self.fetch = (place, options) => {
    const name = String(place.url || place).split("/").pop();
    if (!(name in data)) return own(place, options);
    const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
    return Promise.resolve(new Response(data[name], { headers: { "Content-Type": type } }));
  };
  const pyodide = await loadPyodide({
    indexURL: new URL("pyodide/", import.meta.url).href,
    lockFileContents: new TextDecoder().decode(data["pyodide-lock.json"]),
    stdLibURL: link("python_stdlib.zip", "application/zip"),
  });
  self.fetch = own;
  say("NumPy, portanet");
  for (const name of runtime.packages) pyodide.unpackArchive(data[name], "zip", { extractDir: runtime.site });
  python = pyodide.runPython(
    "import json\n" +
      "from portanet.play.messages import Page, answer\n" +
      "_page = Page()\n" +
      "lambda method, text: answer(_page, method, json.loads(text))",
  );
}

function frame() {
  if (playing === null) return;
  const began = performance.now();
  const text = python("frame", playing);
  if (text.startsWith('{"error"')) playing = null;
  postMessage({ type: "frame", text });
  setTimeout(frame, Math.max(0, FRAME - (performance.now() - began)));
}

const ready = load().then(
  () => postMessage({ type: "ready" }),
  (error) => postMessage({ type: "failed", text: String(error.message || error) }),
);

onmessage = async ({ data }) => {
  await ready;
  let text = '{"result": null}';
  if (data.method === "play") {
    const begins = playing === null;
    playing = data.args;
    if (begins) setTimeout(frame, 0);
  } else if (data.method === "pause") playing = null;
  else text = python(data.method, data.args);
  postMessage({ type: "answer", id: data.id, text });
};
