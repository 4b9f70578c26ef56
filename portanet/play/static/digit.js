// The screen of the digit: a sheet to draw on, probabilities, each layer's pictures, the gradient by pixel.

import { context, greyPicture, put, signedPicture } from "./draw.js";
import { failed } from "./main.js";
import { t } from "./text.js";

const SHEET = 112; // numbers along a side of what is sent
const PEN = 22; // width of the pen, of 280
const byId = (name) => document.getElementById(name);

export class DigitScreen {
  constructor(engine) {
    this.engine = engine;
    this.canvas = byId("draw");
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.found = null;
    this.cursor = { x: 140, y: 60, down: false };
    this.clear();
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (this.last = null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    byId("clear").addEventListener("click", () => this.clear());
  }

  async show() {
    if (!this.about) {
      this.about = await this.engine.call("open", { kind: "digit" });
      this.rows();
    }
    this.describe();
    this.draw();
    if (this.drawn) await this.look();
  }

  clear() {
    this.pen.fillStyle = "#fff";
    this.pen.fillRect(0, 0, 280, 280);
    Object.assign(this.pen, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
    this.drawn = false;
    this.found = null;
    if (this.about) this.draw();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280];
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.place(event);
    this.line(this.last, this.last);
  }

  move(event) {
    if (!this.last) return;
    for (const one of event.getCoalescedEvents?.() ?? [event]) {
      const next = this.place(one);
      this.line(this.last, next);
      this.last = next;
    }
  }

  line(from, to) {
    this.pen.beginPath();
    this.pen.moveTo(...from);
    this.pen.lineTo(...to);
    this.pen.stroke();
    this.drawn = true;
    this.look().catch(failed);
  }

  key(event) {
    const by = { ArrowUp: [0, -8], ArrowDown: [0, 8], ArrowLeft: [-8, 0], ArrowRight: [8, 0] }[event.key];
    if (event.key === " ") this.cursor.down = !this.cursor.down;
    else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else if (!by) return;
    event.preventDefault();
    const before = [this.cursor.x, this.cursor.y];
    if (by) {
      this.cursor.x = Math.max(10, Math.min(270, this.cursor.x + by[0]));
      this.cursor.y = Math.max(10, Math.min(270, this.cursor.y + by[1]));
    }
    if (this.cursor.down) this.line(before, [this.cursor.x, this.cursor.y]);
  }

  // What is on the sheet, as rows of numbers from 0 (paper) to 1 (ink).
  image() {
    const small = document.createElement("canvas");
    small.width = small.height = SHEET;
    const drawing = small.getContext("2d");
    drawing.drawImage(this.canvas, 0, 0, SHEET, SHEET);
    const { data } = drawing.getImageData(0, 0, SHEET, SHEET);
    const row = (i) => Array.from({ length: SHEET }, (_, j) => Math.round((255 - data[4 * (i * SHEET + j)]) / 2.55) / 100);
    return Array.from({ length: SHEET }, (_, i) => row(i));
  }

  // Ask what the network sees; while an answer is on its way, only the newest drawing waits.
  async look() {
    if (!this.about) return;
    if (this.looking) {
      this.again = true;
      return;
    }
    this.looking = true;
    try {
      do {
        this.again = false;
        const found = await this.engine.call("predict", { kind: "digit", image: this.image() });
        this.found = this.drawn ? found : null;
        this.draw();
      } while (this.again && this.drawn);
    } finally {
      this.looking = false;
    }
  }

  rows() {
    byId("bars").replaceChildren(
      ...this.about.classes.map((name) => {
        const row = document.createElement("li");
        row.innerHTML = '<span></span><span class="track"><i></i></span><span></span>';
        row.firstChild.textContent = name;
        return row;
      }),
    );
  }

  describe() {
    const { accuracy, parameters, input_shape: shape } = this.about;
    const size = parameters.toLocaleString("en");
    byId("digit-about").textContent =
      accuracy === null ? `${size} ${t("runAbout")} ${shape.join("×")}` : `${size} ${t("shippedAbout")} ${(100 * accuracy).toFixed(2)} %`;
  }

  draw() {
    if (!this.about) return;
    const { found } = this;
    [...byId("bars").children].forEach((row, i) => {
      const p = found ? found.probabilities[i] : 0;
      row.className = found && found.label === i ? "best" : "";
      row.querySelector("i").style.width = `${100 * p}%`;
      row.lastChild.textContent = found ? `${(100 * p).toFixed(1)} %` : "";
    });
    byId("answer").textContent = found ? `${t("isA")} ${this.about.classes[found.label]}` : t("empty");
    byId("bars").dataset.label = found ? this.about.classes[found.label] : "";
    const side = this.about.side;
    const blank = Array(side * side).fill(0);
    const shown = (name, small) => put(context(byId(name), 140, 140), small, 0, 0, 140, 140, false);
    shown("seen", greyPicture(found ? found.image.flat() : blank, side, side));
    shown("pixels", signedPicture(found ? found.pixels.flat() : blank, side, side));
    const same = (a, b) => b !== undefined && JSON.stringify(a.maps) === JSON.stringify(b.maps); // such as dropout at rest
    const layers = found ? found.layers.filter((layer, i) => !same(layer, found.layers[i - 1])) : [];
    byId("pictures").replaceChildren(...layers.map((layer) => this.pictures(layer)));
  }

  // The output of a layer as pictures: a small one for each channel, or one row of units.
  pictures({ name, words, shape, maps }) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = `${name} ${words} (${shape.join("×")})`;
    const [rows, columns] = [maps[0].length, maps[0][0].length];
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", caption.textContent);
    const most = maps.flat(2).reduce((found, value) => Math.max(found, Math.abs(value)), 0);
    if (rows === 1) {
      const across = Math.min(columns, columns > 64 ? 32 : 16), down = Math.ceil(columns / across);
      const values = [...maps[0][0], ...Array(across * down - columns).fill(0)];
      const cell = Math.max(4, Math.min(16, Math.floor(216 / across)));
      put(context(canvas, across * cell, down * cell), signedPicture(values, across, down, most), 0, 0, across * cell, down * cell, false);
    } else {
      const across = maps.length === 1 ? 1 : 4, size = maps.length === 1 ? 84 : 50;
      const drawing = context(canvas, across * (size + 3), Math.ceil(maps.length / across) * (size + 3));
      maps.forEach((map, i) => {
        const [x, y] = [(i % across) * (size + 3), Math.floor(i / across) * (size + 3)];
        put(drawing, signedPicture(map.flat(), columns, rows, most), x, y, size, size, false);
      });
    }
    figure.append(caption, canvas);
    return figure;
  }

  renamed() {
    if (this.about) this.describe();
    this.draw();
  }
}
