// The way back: each layer's gradient, last to first, beside central differences; and the source of a layer.

import { t } from "./text.js";

const LOW = -9, HIGH = 1; // powers of ten from an empty bar to a full one

export class WayBack {
  constructor(table, engine, failed) {
    this.body = table.tBodies[0];
    this.engine = engine;
    this.failed = failed;
  }

  set({ layers }) {
    const rows = [...layers].reverse();
    if (this.body.rows.length !== rows.length) this.body.replaceChildren(...rows.map(() => this.row()));
    rows.forEach((layer, i) => {
      const [name, flow, norm, difference] = this.body.rows[i].cells;
      name.firstChild.textContent = `${layer.title} ${layer.name}`;
      name.firstChild.onclick = () => this.source("points", layer.name);
      this.bar(flow, layer.flow);
      norm.textContent = short(layer.norm);
      difference.textContent = short(layer.difference);
      this.body.rows[i].dataset.norm = layer.norm ?? "";
    });
  }

  row() {
    const row = document.createElement("tr");
    for (let i = 0; i < 4; i++) row.insertCell();
    const button = document.createElement("button");
    button.type = "button";
    row.cells[0].append(button);
    row.cells[1].innerHTML = '<div class="flow"><i></i><span></span></div>';
    return row;
  }

  bar(cell, value) {
    const [bar, text] = cell.firstChild.children;
    const share = value > 0 ? (Math.log10(value) - LOW) / (HIGH - LOW) : 0;
    bar.style.width = `${Math.round(65 * Math.max(0, Math.min(1, share)))}%`;
    bar.className = value !== null && value < 1e-5 ? "tiny" : "";
    text.textContent = short(value);
  }

  async source(kind, layer) {
    try {
      const found = await this.engine.call("source", { kind, layer });
      document.getElementById("source-title").textContent = `${t("source")}: ${found.title}`;
      document.getElementById("source-note").textContent = `${found.module}, ${found.line}`;
      const place = document.getElementById("source");
      place.textContent = found.source;
      const lines = found.source.split("\n");
      const first = Math.max(0, lines.findIndex((line) => line.includes("def forward")));
      place.scrollTop = (first / lines.length) * place.scrollHeight;
      place.parentElement.scrollIntoView({ block: "nearest" });
    } catch (error) {
      this.failed(error);
    }
  }
}

export function short(value) {
  if (value === null || value === undefined) return "";
  if (value === 0) return "0";
  return Math.abs(value) >= 1e-3 ? value.toPrecision(4) : value.toExponential(2);
}
