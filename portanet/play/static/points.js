// The screen of the points: training, the boundary, the loss, the network, the way back.

import { Controls, layerButtons } from "./controls.js";
import { WayBack } from "./back.js";
import { Network } from "./network.js";
import { CLASSES, context, curve, dark, mark, put, regions, rgb, signedPicture } from "./draw.js";
import { failed, status } from "./main.js";
import { t } from "./text.js";

const SIDE = 40; // places along a side of the boundary
const PAUSE = 250; // milliseconds between two looks at maps and gradients while training
const byId = (name) => document.getElementById(name);
const byTest = (name) => document.querySelector(`[data-testid="${name}"]`);

export class PointsScreen {
  constructor(engine, described, settings) {
    this.engine = engine;
    this.described = described;
    this.onsettings = () => {};
    this.playing = false;
    this.frames = 0;
    this.history = [];
    this.brush = 0;
    this.controls = new Controls(described, settings, (next) => this.change(next));
    this.settings = this.controls.settings;
    this.network = new Network(byId("network"), (unit) => this.enlarge(unit), (layer) => this.back.source("points", layer));
    this.back = new WayBack(byTest("gradients"), engine, failed);
    engine.onframe = (answer) => this.frame(answer);
    byTest("play").addEventListener("click", () => this.play().catch(failed));
    byTest("pause").addEventListener("click", () => this.pause());
    byTest("step").addEventListener("click", () => this.step().catch(failed));
    byId("reset").addEventListener("click", () => this.open().catch(failed));
    byId("plane").addEventListener("click", (event) => this.click(event));
    document.addEventListener("keydown", (event) => {
      const free = !byId("points").hidden && [document.body, byId("plane")].includes(document.activeElement);
      if (free && event.key === " ") {
        event.preventDefault();
        if (this.playing) this.pause();
        else this.play().catch(failed);
      }
    });
  }

  async change(settings) {
    const before = this.settings;
    this.settings = settings;
    try {
      await this.open();
    } catch (error) {
      failed(error);
      this.settings = before;
    }
    this.controls.set(this.settings);
  }

  // Begin with fresh weights; what was set stays.
  async open() {
    const playing = this.playing;
    this.pause();
    const custom = this.settings.data === "custom";
    const few = custom && (this.settings.points.length < 4 || new Set(this.settings.points.map((own) => own[2])).size < 2);
    this.ready = !few;
    this.about = few
      ? { view: [-1.5, 1.5, -1.5, 1.5], points: {}, layers: [], classes: [] }
      : await this.engine.call("open", { kind: "points", settings: this.settings });
    if (custom) this.about.view = [-1.5, 1.5, -1.5, 1.5];
    this.custom = custom ? this.settings.points : [];
    this.history = [];
    this.boundary = null;
    this.controls.set(this.settings);
    layerButtons(byId("layers"), this.settings.layers, this.described, (layers) => this.change({ ...this.settings, layers }));
    this.brushes();
    this.onsettings();
    status("");
    if (this.ready) {
      await this.step(0);
      if (playing) await this.play();
    } else this.draw();
  }

  args(steps) {
    return { kind: "points", steps, side: SIDE };
  }

  async play() {
    if (!this.ready) return;
    const batch = this.settings.batch;
    this.setPlaying(true);
    await this.engine.play(this.args(batch === 0 ? 5 : batch < 8 ? 60 : 10));
  }

  pause() {
    if (!this.playing) return;
    this.setPlaying(false);
    this.engine.pause().then(() => this.look(true)).catch(failed);
  }

  setPlaying(playing) {
    this.playing = playing;
    const focused = [byTest("play"), byTest("pause")].includes(document.activeElement);
    byTest("play").hidden = playing;
    byTest("pause").hidden = !playing;
    if (focused) byTest(playing ? "pause" : "play").focus();
  }

  async step(n = 1) {
    if (!this.ready) return;
    this.pause();
    this.frame({ result: await this.engine.call("frame", this.args(n)) });
    await this.look(true);
  }

  frame(answer) {
    if (answer.error) {
      this.setPlaying(false);
      failed(answer.error);
      return;
    }
    const row = answer.result;
    this.frames++;
    this.boundary = row.boundary;
    this.network.set({ weights: row.weights });
    this.history.push(row);
    if (this.history.length > 600) this.history = this.history.filter((_, i) => i % 2 || i === 0);
    byTest("epoch").textContent = row.epoch;
    byTest("loss").textContent = row.loss.toPrecision(4);
    byTest("loss").dataset.steps = row.steps;
    byId("accuracy").textContent = percent(row.accuracy);
    byId("test-accuracy").textContent = percent(row.test_accuracy);
    requestAnimationFrame(() => this.draw());
    this.look(false).catch(failed);
  }

  // Ask for the maps and the gradients, now and then while training.
  async look(always) {
    if (this.looking || (!always && performance.now() - (this.looked || 0) < PAUSE)) {
      if (always) this.again = true;
      return;
    }
    this.looking = true;
    try {
      do {
        this.again = false;
        const [maps, gradients] = await Promise.all(["maps", "gradients"].map((own) => this.engine.call(own, { kind: "points" })));
        this.network.set({ maps });
        this.back.set(gradients);
      } while (this.again);
    } finally {
      this.looking = false;
      this.looked = performance.now();
    }
    this.network.draw();
    if (this.unit) this.plane();
  }

  draw() {
    this.plane();
    this.network.draw();
    const width = byId("curve").parentElement.clientWidth - 28;
    curve(byId("curve"), this.history, Math.max(240, width), 150, [t("loss"), t("testLoss")]);
  }

  plane() {
    const size = Math.max(240, Math.min(312, byId("plane").parentElement.clientWidth - 28));
    const drawing = context(byId("plane"), size, size);
    const maps = this.network.maps;
    const own = this.unit && maps?.layers[this.unit.layer]?.[this.unit.unit];
    if (own) put(drawing, signedPicture(own, maps.side, maps.side), 0, 0, size, size);
    else if (this.boundary) put(drawing, regions(this.boundary), 0, 0, size, size);
    else {
      drawing.fillStyle = dark() ? "#27303c" : "#eef1f4";
      drawing.fillRect(0, 0, size, size);
    }
    const [left, right, bottom, top] = this.about.view;
    const place = (x, y) => [((x - left) / (right - left)) * size, ((top - y) / (top - bottom)) * size];
    const marked = (x, y, label, hollow) => mark(drawing, ...place(x, y), label, hollow, 3.6);
    if (this.settings.data === "custom") this.custom.forEach(([x, y, label]) => marked(x, y, label, false));
    else
      for (const part of ["train", "test"]) {
        const [xs, ys, labels] = this.about.points[part] ?? [[], [], []];
        xs.forEach((x, i) => marked(x, ys[i], labels[i], part === "test"));
      }
    const unit = own && `${t("unitNote")} (${t("layer")} ${this.unit.layer}, ${this.unit.unit})`;
    byId("plane-note").textContent = unit || (this.settings.data === "custom" ? t("drawPoints") : t("boundaryNote"));
  }

  enlarge(unit) {
    this.unit = unit;
    this.plane();
  }

  // Colours to set points with, of your own data.
  brushes() {
    const place = byId("brush");
    place.hidden = this.settings.data !== "custom";
    const buttons = [0, 1, 2].map((label) => {
      const button = document.createElement("button");
      const swatch = document.createElement("canvas");
      swatch.className = "swatch";
      mark(context(swatch, 14, 14), 7, 7, label, false, 5);
      button.append(swatch, ` ${label}`);
      button.style.borderColor = rgb(CLASSES[label]);
      button.setAttribute("aria-pressed", String(label === this.brush));
      button.addEventListener("click", () => {
        this.brush = label;
        this.brushes();
      });
      return button;
    });
    const clear = document.createElement("button");
    clear.textContent = t("removeAll");
    clear.addEventListener("click", () => this.change({ ...this.settings, points: [] }));
    place.replaceChildren(...buttons, clear);
  }

  click(event) {
    if (this.settings.data !== "custom" || this.settings.points.length >= 1000) return;
    const box = byId("plane").getBoundingClientRect();
    const [left, right, bottom, top] = this.about.view;
    const x = left + ((event.clientX - box.left) / box.width) * (right - left);
    const y = top - ((event.clientY - box.top) / box.height) * (top - bottom);
    const point = [Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000, this.brush];
    this.change({ ...this.settings, points: [...this.settings.points, point] });
  }

  async show() {
    this.draw();
  }

  renamed() {
    this.controls.renamed();
    layerButtons(byId("layers"), this.settings.layers, this.described, (layers) => this.change({ ...this.settings, layers }));
    this.brushes();
    this.draw();
  }
}

function percent(share) {
  return share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`;
}
