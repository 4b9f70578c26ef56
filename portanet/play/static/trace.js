// The screen of one step: a sample through one layer at a time, forward, loss, back, update. Formulas and numbers.

import { short } from "./back.js";
import { signed } from "./draw.js";
import { failed } from "./main.js";
import { t } from "./text.js";

const byId = (name) => document.getElementById(name);

export class TraceScreen {
  constructor(engine, points, digit) {
    Object.assign(this, { engine, points, digit, at: 0, blocks: [] });
    byId("trace-kind").addEventListener("change", () => this.show().catch(failed));
    byId("sample").addEventListener("change", () => this.show().catch(failed));
    byId("class").addEventListener("change", () => this.show(Number(byId("class").value)).catch(failed));
    byId("back").addEventListener("click", () => this.go(this.at - 1));
    byId("next").addEventListener("click", () => this.go(this.at + 1));
    byId("stages").addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      this.go(this.at + by);
      byId("stages").querySelector("[aria-current]")?.focus();
    });
  }

  async show(label) {
    const kind = byId("trace-kind").value;
    byId("sample-label").hidden = kind !== "points";
    byId("class-label").hidden = kind !== "digit";
    const args = { kind };
    if (kind === "points") {
      const most = (this.points.about.points.train ?? [[]])[0].length - 1;
      byId("sample").max = most;
      args.sample = Math.max(0, Math.min(most, Math.round(Number(byId("sample").value)) || 0));
      byId("sample").value = args.sample;
      if (!this.points.ready) return this.empty(t("drawPoints"));
    } else {
      if (!this.digit.drawn) return this.empty(t("noDrawing"));
      await this.digit.show();
      args.image = this.digit.image();
      if (label !== undefined) args.label = label;
    }
    const found = await this.engine.call("trace", args);
    if (kind === "digit") {
      byId("class").replaceChildren(...this.digit.about.classes.map((name, i) => new Option(name, i)));
      byId("class").value = found.label;
    }
    this.found = found;
    this.blocks = Object.entries(found.parts).flatMap(([part, blocks]) => blocks.map((block) => ({ part, ...block })));
    this.go(Math.min(this.at, this.blocks.length - 1));
  }

  empty(text) {
    this.found = null;
    this.blocks = [];
    byId("trace-about").textContent = text;
    byId("stages").replaceChildren();
    byId("block").replaceChildren();
    byId("block").hidden = true;
  }

  go(at) {
    if (at < 0 || at >= this.blocks.length) return;
    this.at = at;
    this.draw();
  }

  draw() {
    if (!this.found) return;
    byId("block").hidden = false;
    byId("trace-about").textContent = `${this.found.about}; ${t("class")} ${this.found.label}; ${t("loss")} ${short(this.found.loss)}`;
    byId("back").disabled = this.at === 0;
    byId("next").disabled = this.at === this.blocks.length - 1;
    let part = "";
    const stages = [];
    this.blocks.forEach((block, i) => {
      if (block.part !== part) {
        part = block.part;
        stages.push(element("li", t(part), "part"));
      }
      const button = element("button", block.title);
      if (i === this.at) button.setAttribute("aria-current", "step");
      button.addEventListener("click", () => this.go(i));
      const item = document.createElement("li");
      item.append(button);
      stages.push(item);
    });
    byId("stages").replaceChildren(...stages);
    const block = this.blocks[this.at];
    const head = `${t(block.part)}: ${block.title}${block.words ? ` (${block.words})` : ""}`;
    const formula = element("div", "", "formula");
    formula.append(...block.formula.map((line) => element("code", line)));
    const arrays = element("div", "", "arrays");
    arrays.append(...block.arrays.map((array) => this.array(array)));
    const notes = block.notes.map((line) => element("p", line, "note"));
    byId("block").replaceChildren(element("h2", head), ...(block.formula.length ? [formula] : []), arrays, ...notes);
  }

  array({ name, shape, index, rows }) {
    const place = document.createElement("div");
    const head = element("div", name);
    const where = index ? `, ${t("shown")} ${index}` : "";
    head.append(element("small", ` ${shape.join("×") || "1"}${where}`));
    const table = document.createElement("table");
    const most = Math.max(1e-300, ...rows.flat().map(Math.abs));
    for (const row of rows) {
      const line = table.insertRow();
      for (const value of row) {
        const cell = line.insertCell();
        cell.textContent = short(value);
        cell.style.background = signed(value, (0.45 * Math.abs(value)) / most);
      }
    }
    place.append(head, table);
    return place;
  }

  renamed() {
    if (this.found) this.draw();
    else this.show().catch(failed);
  }
}

function element(name, text, kind = "") {
  const found = document.createElement(name);
  found.textContent = text;
  if (kind) found.className = kind;
  return found;
}
