// The page: engine, language, theme, the settings in the link, and the three screens.

import { HttpEngine } from "./engine-http.js";
import { WorkerEngine } from "./engine-worker.js";
import { DigitScreen } from "./digit.js";
import { PointsScreen } from "./points.js";
import { TraceScreen } from "./trace.js";
import { chinese, setLanguage, t } from "./text.js";
import { readLink, writeLink } from "./link.js";

const SCREENS = ["points", "digit", "trace"];
const byId = (name) => document.getElementById(name);

export function status(text, plain = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("plain", plain);
}

async function main() {
  const link = readLink();
  document.documentElement.dataset.theme =
    link.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  setLanguage(link.language ? link.language === "zh" : navigator.language.startsWith("zh"));
  status(t("loading"), true);
  const kind = document.querySelector('meta[name="portanet-engine"]').content;
  const engine = kind === "worker" ? new WorkerEngine() : new HttpEngine();
  engine.onprogress = (text) => status(`${t("loading")} ${text}`, true);
  engine.onlost = () => status(t("lost"));
  await engine.start();
  const described = await engine.call("described");
  const points = new PointsScreen(engine, described, link.settings);
  const digit = new DigitScreen(engine);
  const trace = new TraceScreen(engine, points, digit);
  const screens = { points, digit, trace };
  let shown = SCREENS.includes(link.screen) ? link.screen : "points";

  const save = () =>
    writeLink({
      screen: shown,
      language: chinese() ? "zh" : "en",
      theme: link.theme,
      settings: points.settings,
      fields: described.fields,
    });
  points.onsettings = save;

  async function show(name, focus = false) {
    shown = name;
    for (const one of SCREENS) {
      byId(one).hidden = one !== name;
      byId(`tab-${one}`).setAttribute("aria-selected", String(one === name));
      byId(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    }
    if (focus) byId(`tab-${name}`).focus();
    if (name !== "points") points.pause();
    save();
    await screens[name].show();
  }

  SCREENS.forEach((name, i) => {
    byId(`tab-${name}`).addEventListener("click", () => show(name).catch(failed));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) show(SCREENS[(i + by + SCREENS.length) % SCREENS.length], true).catch(failed);
    });
  });
  byId("language").addEventListener("click", () => {
    setLanguage(!chinese());
    named();
    Object.values(screens).forEach((screen) => screen.renamed());
    save();
  });
  byId("theme").addEventListener("click", () => {
    link.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = link.theme;
    Object.values(screens).forEach((screen) => screen.draw());
    save();
  });
  byId("link").addEventListener("click", async () => {
    save();
    const own = `${location.origin}${location.pathname}${location.hash}`; // never the token
    await navigator.clipboard.writeText(own).then(() => status(t("linkCopied"), true), () => status(own, true));
  });
  addEventListener("hashchange", () => location.reload());
  addEventListener("resize", () => screens[shown].draw());

  function named() {
    byId("language").textContent = t("language");
    byId("language").lang = chinese() ? "en" : "zh-CN";
  }

  named();
  await points.open();
  await show(shown);
  status("");
  document.body.dataset.ready = kind;
  window.portanet = { engine, ...screens }; // for the console: await portanet.engine.call("gradients", {kind: "points"})
}

export function failed(error) {
  status(String(error.message || error));
}

main().catch((error) => {
  failed(error);
  if (error.message === "lost") status(t("lost"));
});
