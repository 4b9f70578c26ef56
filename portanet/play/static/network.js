// The network of the points: a column a layer, a square a unit with its map, weights as lines.

import { context, dark, ink, put, signed, signedPicture, soft } from "./draw.js";
import { t } from "./text.js";

const MOST = 10; // units of a layer that are drawn

export class Network {
  constructor(canvas, chosen, clicked) {
    this.canvas = canvas;
    this.chosen = chosen; // called with {layer, unit} or null: the unit that is enlarged
    this.clicked = clicked;
    this.at = null;
    this.nodes = [];
    canvas.addEventListener("pointermove", (event) => this.choose(this.under(event)));
    canvas.addEventListener("pointerleave", () => this.choose(null));
    canvas.addEventListener("click", (event) => {
      const node = this.under(event);
      if (node && node.layer !== null) clicked(node.layer);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.choose(null));
  }

  set({ weights, maps }) {
    this.weights = weights ?? this.weights;
    this.maps = maps ?? this.maps;
  }

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return this.nodes.find((one) => Math.abs(one.x - x) <= this.size / 2 + 2 && Math.abs(one.y - y) <= this.size / 2 + 2);
  }

  choose(node) {
    const own = node && node.layer !== null ? { layer: node.layer, unit: node.unit } : null;
    if (JSON.stringify(own) === JSON.stringify(this.at)) return;
    this.at = own;
    this.chosen(own);
    this.draw();
  }

  key(event) {
    const units = this.nodes.filter((one) => one.layer !== null);
    const now = units.find((one) => this.at && one.layer === this.at.layer && one.unit === this.at.unit);
    if (event.key === "Enter" && now) return this.clicked(now.layer);
    const by = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    if (!now) return this.choose(units[0]);
    const column = units.filter((one) => one.column === now.column + by[0]);
    const next = column.find((one) => one.unit === Math.min(now.unit + by[1], column.length - 1));
    if (next) this.choose(next);
  }

  draw() {
    if (!this.weights) return;
    const width = Math.max(260, this.canvas.parentElement.clientWidth - 28);
    const layers = Object.entries(this.weights);
    const columns = [layers[0][1].length, ...layers.map(([, w]) => w[0].length)];
    const step = (width - 44) / Math.max(1, columns.length - 1);
    const tallest = Math.min(MOST, Math.max(...columns));
    this.size = Math.max(12, Math.min(36, step * 0.6));
    const row = this.size + Math.max(4, Math.min(14, 300 / tallest - this.size));
    const height = Math.max(150, tallest * row + 46);
    const drawing = context(this.canvas, width, height);
    this.nodes = [];
    columns.forEach((count, column) => {
      const shown = Math.min(count, MOST);
      const layer = column ? layers[column - 1][0] : null;
      for (let unit = 0; unit < shown; unit++) {
        const y = 26 + (height - 44) / 2 + (unit - (shown - 1) / 2) * row;
        this.nodes.push({ column, layer, unit, x: 22 + column * step, y });
      }
    });
    this.lines(drawing, layers);
    drawing.font = "11px system-ui, sans-serif";
    drawing.textAlign = "center";
    for (const node of this.nodes) this.node(drawing, node, columns.length - 1);
    columns.forEach((count, column) => {
      drawing.fillStyle = soft();
      const x = Math.min(Math.max(22 + column * step, 20), width - 24);
      const name = column === 0 ? t("input") : column === columns.length - 1 ? t("output") : String(column);
      drawing.fillText(name, x, 12);
      if (count > MOST) drawing.fillText(`+ ${count - MOST}`, x, height - 4);
    });
  }

  lines(drawing, layers) {
    layers.forEach(([, weights], i) => {
      const [from, to] = [i, i + 1].map((column) => this.nodes.filter((one) => one.column === column));
      const most = Math.max(1e-12, ...weights.flat().map(Math.abs));
      for (const a of from)
        for (const b of to) {
          const value = weights[a.unit][b.unit];
          const share = Math.abs(value) / most;
          const here = this.at && b.layer === this.at.layer && b.unit === this.at.unit;
          drawing.beginPath();
          drawing.strokeStyle = signed(value, (dark() ? 0.25 : 0.15) + 0.75 * share * (this.at && !here ? 0.5 : 1));
          drawing.lineWidth = 0.4 + 3.6 * share + (here ? 0.8 : 0);
          drawing.moveTo(a.x, a.y);
          drawing.bezierCurveTo((a.x + b.x) / 2, a.y, (a.x + b.x) / 2, b.y, b.x, b.y);
          drawing.stroke();
        }
    });
  }

  node(drawing, node, last) {
    const half = this.size / 2;
    const own = node.layer === null ? null : this.maps?.layers[node.layer]?.[node.unit];
    if (own) put(drawing, signedPicture(own, this.maps.side, this.maps.side), node.x - half, node.y - half, this.size, this.size);
    else {
      drawing.fillStyle = dark() ? "#27303c" : "#fff";
      drawing.fillRect(node.x - half, node.y - half, this.size, this.size);
    }
    const here = this.at && node.layer === this.at.layer && node.unit === this.at.unit;
    drawing.strokeStyle = here ? ink() : soft();
    drawing.lineWidth = here ? 3 : 1;
    drawing.strokeRect(node.x - half, node.y - half, this.size, this.size);
    drawing.fillStyle = ink();
    if (node.layer === null) drawing.fillText(node.unit ? "y" : "x", node.x, node.y + 4);
    else if (node.column === last && this.weights[node.layer][0].length > 1) drawing.fillText(String(node.unit), node.x + half + 8, node.y + 4);
  }
}
