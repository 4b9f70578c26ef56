// The settings in the link, after its #: what differs from the defaults. It is never sent to a server.

export function readLink() {
  const given = new URLSearchParams(location.hash.slice(1));
  const settings = {};
  for (const [name, text] of given) {
    if (["screen", "language", "theme"].includes(name)) continue;
    if (name === "layers") settings.layers = text === "" ? [] : text.split(",").map(Number);
    else if (name === "points") settings.points = text.split(";").filter(Boolean).map((one) => one.split(",").map(Number));
    else if (text === "true" || text === "false") settings[name] = text === "true";
    else settings[name] = text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  }
  const [language, theme] = [given.get("language"), given.get("theme")];
  return { screen: given.get("screen"), language, theme: theme === "dark" || theme === "light" ? theme : null, settings };
}

export function writeLink({ screen, language, theme, settings, fields }) {
  const found = new URLSearchParams({ screen, language });
  if (theme) found.set("theme", theme);
  for (const [name, value] of Object.entries(settings)) {
    if (!(name in fields) || JSON.stringify(value) === JSON.stringify(fields[name].default)) continue;
    found.set(name, name === "points" ? value.map((point) => point.join(",")).join(";") : String(value));
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#${found}`);
}
