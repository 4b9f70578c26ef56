// The controls of the points, made from what Python says of each setting: ranges, choices, presets.

import { t } from "./text.js";

const ORDER = ["data", "n", "noise", "activation", "loss", "optimizer", "lr", "batch", "decay", "dropout", "init", "bias", "seed"];
const RATES = [0.0001, 0.0003, 0.001, 0.002, 0.003, 0.01, 0.02, 0.03, 0.1, 0.3, 1, 3, 10];

export class Controls {
  constructor(described, settings, changed) {
    this.described = described;
    this.changed = changed;
    this.form = document.getElementById("settings");
    this.preset = document.getElementById("preset");
    this.fields = {};
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const name of ORDER) this.form.append(this.made(name));
    this.preset.addEventListener("change", () => {
      if (this.preset.value !== "own") this.changed({ ...this.defaults(), ...described.presets[this.preset.value] });
    });
    this.renamed();
    this.set(settings);
  }

  defaults() {
    const entries = Object.entries(this.described.fields);
    return Object.fromEntries(entries.map(([name, about]) => [name, about.default]));
  }

  made(name) {
    const about = this.described.fields[name];
    const label = document.createElement("label");
    const text = document.createElement("span");
    text.dataset.text = name;
    let input;
    if (about.choices) {
      input = document.createElement("select");
      for (const choice of about.choices) input.append(new Option(choice, choice));
    } else {
      input = document.createElement("input");
      const flag = typeof about.default === "boolean";
      input.type = flag ? "checkbox" : "number";
      if (flag) label.className = "check";
      else Object.assign(input, { min: about.least, max: about.most, step: about.whole ? 1 : "any" });
      if (name === "lr") {
        const list = document.createElement("datalist");
        list.id = "rates";
        for (const rate of RATES) list.append(new Option(rate));
        input.setAttribute("list", "rates");
        label.append(list);
      }
    }
    input.id = `set-${name}`;
    input.addEventListener("change", () => {
      const value = this.value(name, input);
      if (value !== null) this.changed({ ...this.settings, [name]: value });
    });
    this.fields[name] = input;
    if (label.className === "check") label.append(input, text);
    else label.append(text, input);
    return label;
  }

  value(name, input) {
    const about = this.described.fields[name];
    if (input.type === "checkbox") return input.checked;
    if (about.choices) return input.value;
    return input.reportValidity() && input.value !== "" ? Number(input.value) : null;
  }

  set(settings) {
    this.settings = { ...this.defaults(), ...settings };
    for (const [name, input] of Object.entries(this.fields)) {
      if (input.type === "checkbox") input.checked = this.settings[name];
      else input.value = this.settings[name];
    }
    const same = ([, preset]) => {
      const whole = { ...this.defaults(), ...preset };
      return Object.keys(whole).every((name) => JSON.stringify(whole[name]) === JSON.stringify(this.settings[name]));
    };
    this.preset.value = (Object.entries(this.described.presets).find(same) || ["own"])[0];
  }

  renamed() {
    const before = this.preset.value;
    this.preset.replaceChildren(
      ...[...Object.keys(this.described.presets), "own"].map((name) => new Option(t(name), name)),
    );
    if (before) this.preset.value = before;
    for (const text of this.form.querySelectorAll("[data-text]")) text.textContent = t(text.dataset.text);
    for (const name of ["data", "loss"])
      for (const option of this.fields[name].options) option.textContent = t(option.value);
  }
}

// Buttons that add and remove layers and units.
export function layerButtons(place, layers, described, changed) {
  const button = (text, label, next) => {
    const found = document.createElement("button");
    found.type = "button";
    found.textContent = text;
    found.setAttribute("aria-label", label);
    found.disabled = next === null;
    found.addEventListener("click", () => changed(next));
    return found;
  };
  const rest = document.activeElement?.getAttribute?.("aria-label");
  const parts = layers.map((units, i) => {
    const other = (n) => (n < 1 || n > described.most_units ? null : layers.map((own, j) => (j === i ? n : own)));
    const span = document.createElement("span");
    const number = document.createElement("b");
    number.textContent = units;
    span.append(button("−", `${t("removeUnit")} ${i + 1}`, other(units - 1)), number);
    span.append(button("+", `${t("addUnit")} ${i + 1}`, other(units + 1)));
    return span;
  });
  parts.push(button("+", t("addLayer"), layers.length < described.most_layers ? [...layers, layers.at(-1) || 8] : null));
  parts.push(button("−", t("removeLayer"), layers.length ? layers.slice(0, -1) : null));
  place.replaceChildren(...parts);
  if (rest) [...place.querySelectorAll("button")].find((own) => own.getAttribute("aria-label") === rest)?.focus();
}
