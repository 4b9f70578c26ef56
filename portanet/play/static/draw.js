// Colours and canvases. The palette is Okabe and Ito's, which people of every colour vision tell apart; classes also
// differ in shape.

export const CLASSES = [[213, 94, 0], [0, 114, 178], [0, 158, 115], [204, 121, 167], [230, 159, 0]];
const BRIGHT = [[240, 146, 70], [86, 180, 233], [64, 200, 150], [230, 159, 200], [240, 190, 80]]; // on dark ground
const signs = () => (dark() ? [[86, 180, 233], [240, 146, 70]] : [[0, 114, 178], [213, 94, 0]]);

export function dark() {
  return document.documentElement.dataset.theme === "dark";
}

function paper() {
  return dark() ? [27, 33, 42] : [255, 255, 255];
}

export function ink() {
  return dark() ? "#e8ecf1" : "#1c2430";
}

export function soft() {
  return dark() ? "#a3aebb" : "#5b6675";
}

export function rgb(colour, alpha = 1) {
  return `rgba(${colour[0]}, ${colour[1]}, ${colour[2]}, ${alpha})`;
}

export function signed(value, alpha = 1) {
  return rgb(signs()[value >= 0 ? 0 : 1], alpha);
}

function mixed(colour, share) {
  const ground = paper();
  return ground.map((own, i) => own + (colour[i] - own) * share);
}

// Return the context of a canvas that is `width` × `height` in CSS pixels, cleared, sharp on every screen.
export function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const drawing = canvas.getContext("2d");
  drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
  return drawing;
}

function picture(width, height, colourOf) {
  const small = document.createElement("canvas");
  small.width = width;
  small.height = height;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = colourOf(i);
    image.data.set([r, g, b, 255], 4 * i);
  }
  small.getContext("2d").putImageData(image, 0, 0);
  return small;
}

// The classes at each place, deeper in colour where the network is surer.
export function regions({ side, classes }) {
  const chance = 1 / classes.length;
  return picture(side, side, (i) => {
    let best = 0;
    for (let c = 1; c < classes.length; c++) if (classes[c][i] > classes[best][i]) best = c;
    const sure = Math.max(0, Math.min(1, (classes[best][i] - chance) / (1 - chance)));
    return mixed(CLASSES[best % CLASSES.length], 0.12 + (dark() ? 0.5 : 0.42) * sure);
  });
}

// Numbers as a picture: blue above 0, orange below, deeper the larger; `largest` is full colour.
export function signedPicture(values, width, height, largest = 0) {
  const most = largest || values.reduce((found, value) => Math.max(found, Math.abs(value)), 0) || 1;
  const [above, below] = signs();
  return picture(width, height, (i) => {
    const share = Math.min(1, Math.abs(values[i]) / most);
    return mixed(values[i] >= 0 ? above : below, 0.92 * share);
  });
}

export function greyPicture(values, width, height) {
  return picture(width, height, (i) => Array(3).fill(255 * (1 - values[i])));
}

export function put(drawing, small, x, y, width, height, smooth = true) {
  drawing.imageSmoothingEnabled = smooth;
  drawing.drawImage(small, x, y, width, height);
}

// A point: circle, square or triangle by class; hollow in the test part.
export function mark(drawing, x, y, label, hollow, size = 4) {
  drawing.beginPath();
  if (label % 3 === 0) drawing.arc(x, y, size, 0, 7);
  else if (label % 3 === 1) drawing.rect(x - size * 0.88, y - size * 0.88, size * 1.76, size * 1.76);
  else {
    drawing.moveTo(x, y - size * 1.2);
    drawing.lineTo(x + size * 1.1, y + size * 0.8);
    drawing.lineTo(x - size * 1.1, y + size * 0.8);
    drawing.closePath();
  }
  const colour = rgb((dark() ? BRIGHT : CLASSES)[label % CLASSES.length]);
  drawing.fillStyle = hollow ? rgb(paper(), 0.75) : colour;
  drawing.strokeStyle = hollow ? colour : dark() ? "#12161c" : "#fff";
  drawing.lineWidth = hollow ? 1.6 : 0.9;
  drawing.fill();
  drawing.stroke();
}

// Lines of losses over epochs on a log scale: the training part solid, the test part dashed.
export function curve(canvas, history, width, height, names) {
  const drawing = context(canvas, width, height);
  const left = 44, right = 8, top = 8, bottom = 20;
  const lines = [history.map((row) => row.loss), history.map((row) => row.test_loss)];
  const all = lines.flat().filter((value) => value > 0);
  drawing.font = "11px system-ui, sans-serif";
  drawing.fillStyle = drawing.strokeStyle = soft();
  if (!all.length) return;
  let low = Math.log10(Math.min(...all)), high = Math.log10(Math.max(...all));
  if (high - low < 0.4) [low, high] = [low - 0.2, high + 0.2];
  const last = history[history.length - 1].epoch || 1;
  const x = (row) => left + ((width - left - right) * row.epoch) / last;
  const y = (value) => top + (height - top - bottom) * (1 - (Math.log10(value) - low) / (high - low));
  for (let i = 0; i <= 3; i++) {
    const value = 10 ** (low + ((high - low) * i) / 3);
    drawing.globalAlpha = 0.25;
    drawing.fillRect(left, y(value), width - left - right, 1);
    drawing.globalAlpha = 1;
    drawing.textAlign = "right";
    drawing.fillText(value >= 0.01 ? value.toPrecision(2) : value.toExponential(0), left - 5, y(value) + 4);
  }
  drawing.fillText(String(Math.round(last)), width - right, height - 5);
  drawing.textAlign = "left";
  drawing.fillText("0", left, height - 5);
  const colours = signs().map((colour) => rgb(colour));
  lines.forEach((line, which) => {
    drawing.beginPath();
    drawing.setLineDash(which ? [5, 4] : []);
    drawing.strokeStyle = drawing.fillStyle = colours[which];
    drawing.lineWidth = 2;
    history.forEach((row, i) => line[i] > 0 && drawing.lineTo(x(row), y(line[i])));
    drawing.stroke();
    const end = history.length - 1;
    if (line[end] > 0) drawing.fillRect(x(history[end]) - 2.5, y(line[end]) - 2.5, 5, 5);
    drawing.textAlign = "right";
    if (line.some((value) => value > 0)) drawing.fillText(names[which], width - right - 6, top + 12 + 15 * which);
  });
  drawing.setLineDash([]);
}
