"use strict";
// The page of tuning by hand. It keeps all numbers itself and sends them with each question, so that several pages of one
// program do not disturb each other. One question at a time is on its way; of those that wait only the last is asked.

const $ = (id) => document.getElementById(id);
const STEPS = 1000; // of a slider
let page, numbers, past = [], future = [], sample = 0, given = null, last = null, wanted = null, asking = false;

async function post(what, body) {
  const answer = await fetch(what, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function say(text) { $("message").textContent = text; }

function sayWhy(error) {
  say(error instanceof TypeError ? "The program has ended; start snnlearn tune --manual again." : error.message);
}

// Numbers and places on a slider.

const unit = (knob) => (knob.unit === "s" ? "ms" : knob.unit);
const scale = (knob) => (knob.unit === "s" ? 1000 : 1);
const tidy = (x) => Number(x.toPrecision(3));

function within(knob, x) { return Math.min(knob.high, Math.max(knob.low, x)); }

function numberAt(knob, place) {
  const share = place / STEPS;
  if (place <= 0) return knob.low;
  if (place >= STEPS) return knob.high;
  const x = knob.log ? knob.low * (knob.high / knob.low) ** share : knob.low + share * (knob.high - knob.low);
  return within(knob, Math.abs(x) < (knob.high - knob.low) / STEPS / 2 && !knob.log ? 0 : tidy(x));
}

function placeOf(knob, x) {
  return STEPS * (knob.log ? Math.log(x / knob.low) / Math.log(knob.high / knob.low) : (x - knob.low) / (knob.high - knob.low));
}

// Knobs.

function makeKnobs() {
  const groups = new Map();
  for (const knob of page.knobs) {
    if (!groups.has(knob.group)) {
      const fieldset = document.createElement("fieldset");
      fieldset.append(Object.assign(document.createElement("legend"), { textContent: knob.group }));
      groups.set(knob.group, fieldset);
      $("knobs").append(fieldset);
    }
    groups.get(knob.group).append(makeKnob(knob));
  }
}

function makeKnob(knob) {
  const row = Object.assign(document.createElement("div"), { className: "knob" });
  const id = `knob-${knob.name}`;
  const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: knob.label });
  const slider = Object.assign(document.createElement("input"), { type: "range", id, min: 0, max: STEPS, step: 1 });
  const exact = Object.assign(document.createElement("input"), { type: "number", step: "any" });
  exact.setAttribute("aria-label", `${knob.group}: ${knob.label}${unit(knob) ? `, ${unit(knob)}` : ""}`);
  const reset = Object.assign(document.createElement("button"), { type: "button", textContent: "↺", title: "as given" });
  reset.setAttribute("aria-label", `${knob.label} as given`);
  row.append(label, exact, Object.assign(document.createElement("span"), { className: "unit", textContent: unit(knob) }), reset, slider);
  slider.addEventListener("input", (event) => {
    remember(knob.name);
    numbers[knob.name] = numberAt(knob, Number(slider.value));
    write(knob);
    ask(event.timeStamp);
  });
  slider.addEventListener("change", () => { moving = null; });
  exact.addEventListener("change", (event) => {
    const x = exact.valueAsNumber / scale(knob);
    if (Number.isFinite(x)) {
      remember(knob.name);
      numbers[knob.name] = within(knob, x);
      moving = null;
      ask(event.timeStamp);
    }
    write(knob);
  });
  reset.addEventListener("click", (event) => {
    change({ ...numbers, [knob.name]: knob.start }, event.timeStamp);
    slider.focus();
  });
  knob.parts = { row, slider, exact };
  return row;
}

function write(knob) {
  const x = numbers[knob.name], { row, slider, exact } = knob.parts, shown = `${Number((scale(knob) * x).toPrecision(4))}`;
  if (document.activeElement !== slider || numberAt(knob, Number(slider.value)) !== x) slider.value = placeOf(knob, x);
  exact.value = shown;
  slider.setAttribute("aria-valuetext", `${shown} ${unit(knob)}`);
  row.classList.toggle("turned", x !== knob.start);
}

// Undo: a move of a slider from its first to its last event is one step.

let moving = null;

function remember(name) {
  if (name !== null && moving === name) return;
  past.push({ ...numbers });
  future = [];
  moving = name;
  writeTools();
}

function change(next, moment) {
  remember(null);
  put(next, moment);
}

function put(next, moment) {
  numbers = { ...next };
  moving = null;
  page.knobs.forEach(write);
  writeTools();
  ask(moment);
}

function back(from, to, moment) {
  if (!from.length) return;
  to.push({ ...numbers });
  put(from.pop(), moment);
}

function writeTools() {
  $("undo").disabled = !past.length;
  $("redo").disabled = !future.length;
}

function makePresets() {
  $("presets").replaceChildren(new Option("choose …", ""), ...Object.keys(page.presets).map((name) => new Option(name, name)));
}

// Questions.

function ask(moment) {
  wanted = { moment, numbers: { ...numbers }, sample };
  if (!asking) askOn();
}

async function askOn() {
  asking = true;
  while (wanted) {
    const { moment, ...question } = wanted;
    wanted = null;
    try {
      last = await post("look", question);
      given ??= last;
      await drawn(moment);
    } catch (error) {
      sayWhy(error);
    }
  }
  asking = false;
}

function drawn(moment) {
  return new Promise((done) => requestAnimationFrame(() => {
    draw();
    // What runs next runs after the frame is handed over.
    setTimeout(() => { performance.measure("move", { start: moment, end: performance.now() }); done(); });
  }));
}

async function save(what) {
  try {
    const { saved, note } = await post(what, { numbers });
    say(`Saved: ${saved}. ${note}`);
  } catch (error) {
    sayWhy(error);
  }
}

async function keep() {
  try {
    const { kept, presets } = await post("preset", { numbers });
    Object.assign(page.presets, presets);  // with those that other pages have kept
    makePresets();
    say(`Kept as preset “${kept}”, for the next time, too.`);
  } catch (error) {
    sayWhy(error);
  }
}

// Drawing.

const percent = (x, digits = 1) => `${(100 * x).toFixed(digits)} %`;

function draw() {
  if (!last) return;
  const { risk, sample: one, layers } = last;
  const error = risk.errors / risk.n;
  $("error").textContent = percent(error);
  $("count").textContent = `validation error: ${risk.errors} of ${risk.n}`;
  $("interval").textContent = `(${(100 * risk.low).toFixed(1)} to ${percent(risk.high)})`;
  const more = risk.errors - given.risk.errors;
  $("change").textContent = more === 0 ? "as given" : `${Math.abs(more)} ${more > 0 ? "more" : "fewer"} than as given`;
  $("change").className = more === 0 ? "" : more > 0 ? "worse" : "better";
  $("number").textContent = one.number;
  const right = one.class === one.decided;
  $("decision").textContent = `class ${page.classes[one.class]}, decided ${page.classes[one.decided]} ${right ? "✓" : "✗"}`;
  $("decision").className = right ? "better" : "worse";
  drawRaster($("raster"), layers);
  drawTraces($("traces"), layers, one);
  writeRates(layers);
}

function canvas(element) {
  const { width, height } = element.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio), h = Math.round(height * ratio);
  if (element.width !== w || element.height !== h) Object.assign(element, { width: w, height: h });
  const context = element.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const colours = ["blue", "orange", "green", "violet", "red"].map(colour);
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height, ink: colour("ink"), soft: colour("soft"), line: colour("line"), colours };
}

const LEFT = 34, BOTTOM = 18;

function timeAxis({ context, width, height, soft, line }, steps) {
  const milliseconds = 1000 * last.dt * steps;
  context.fillStyle = soft;
  context.strokeStyle = line;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  const raw = milliseconds / 5, base = 10 ** Math.floor(Math.log10(raw)), tick = [1, 2, 5, 10].find((m) => m * base >= raw) * base;
  for (let t = 0; t <= milliseconds * 1.0001; t += tick) {
    const x = LEFT + ((width - LEFT - 8) * t) / milliseconds;
    context.fillText(t === 0 ? "0 ms" : `${Number(t.toPrecision(3))}`, Math.max(x, LEFT + 12), height);
  }
}

function drawRaster(element, layers) {
  const c = canvas(element), { context, width, height } = c, spiking = layers.filter((layer) => layer.spikes);
  const spikes = spiking.reduce((sum, layer) => sum + layer.raster.length / 2, 0);
  element.setAttribute("aria-label", `${spikes} spikes of ${spiking.map((layer) => `${layer.shown} units of ${layer.name}`).join(", ")}`);
  $("raster-caption").textContent = spikes ? `Spikes: ${spikes}` : "Spikes: none, the network is silent";
  if (!spiking.length) return;
  const units = spiking.reduce((sum, layer) => sum + layer.shown, 0), gap = 6;
  const unitHeight = (height - BOTTOM - gap * (spiking.length - 1)) / units;
  let top = 0;
  spiking.forEach((layer, number) => {
    const step = (width - LEFT - 8) / layer.steps, box = unitHeight * layer.shown;
    context.strokeStyle = c.line;
    context.strokeRect(LEFT - 0.5, top + 0.5, width - LEFT - 7, box - 1);
    context.fillStyle = c.soft;
    context.textAlign = "right";
    context.textBaseline = "top";
    context.fillText("0", LEFT - 5, top);
    context.textBaseline = "bottom";
    context.fillText(`${layer.units - 1}`, LEFT - 5, top + box);
    context.fillStyle = c.colours[number % c.colours.length];
    const mark = Math.max(1.5, Math.min(4, step * 0.5)), tall = Math.max(1.5, Math.min(unitHeight - 0.5, 8));
    for (let n = 0; n < layer.raster.length; n += 2) {
      const x = LEFT + (layer.raster[n] + 0.5) * step - mark / 2;
      context.fillRect(x, top + (layer.raster[n + 1] + 0.5) * unitHeight - tall / 2, mark, tall);
    }
    top += box + gap;
  });
  timeAxis(c, spiking[0].steps);
}

function drawTraces(element, layers, one) {
  const c = canvas(element), { context, width, height } = c, head = 17;
  element.setAttribute("aria-label", `Membranes of ${layers.map((layer) => layer.name).join(" and ")}`);
  const box = (height - BOTTOM) / layers.length - head;
  layers.forEach((layer, place) => {
    const top = place * (box + head) + head, all = layer.traces.flat();
    const high = Math.max(...all, 0.001), low = Math.min(...all, 0), room = high - low;
    const y = (v) => top + 3 + (box - 6) * (1 - (v - low) / room), x = (t) => LEFT + ((width - LEFT - 8) * (t + 1)) / layer.steps;
    context.strokeStyle = c.line;
    context.strokeRect(LEFT - 0.5, top + 0.5, width - LEFT - 7, box - 1);
    context.fillStyle = c.soft;
    context.textAlign = "right";
    context.textBaseline = "top";
    context.fillText(`${Number(high.toPrecision(2))}`, LEFT - 5, top);
    context.textBaseline = "bottom";
    context.fillText(`${Number(low.toPrecision(2))}`, LEFT - 5, top + box);
    context.textAlign = "left";
    context.fillText(`${layer.name}: ${layer.spikes ? `the ${layer.traced.length} units that spike most` : "the sample’s class in green, a wrong decision in red"}`, LEFT, top - 2);
    layer.traces.forEach((trace, n) => {
      const unit = layer.traced[n], bold = !layer.spikes && (unit === one.class || unit === one.decided);
      context.strokeStyle = layer.spikes ? c.colours[n % c.colours.length] : bold ? c.colours[unit === one.class ? 2 : 4] : c.soft;
      context.globalAlpha = layer.spikes || bold ? 1 : 0.45;
      context.lineWidth = bold ? 2 : 1.2;
      context.beginPath();
      trace.forEach((v, t) => (t ? context.lineTo(x(t), y(v)) : context.moveTo(x(t), y(v))));
      context.stroke();
    });
    context.globalAlpha = 1;
    context.lineWidth = 1;
  });
  timeAxis(c, layers[0].steps);
}

function writeRates(layers) {
  const rows = layers.filter((layer) => layer.spikes).map((layer) => [layer.name, `${layer.units}`, layer.rate.toFixed(1), percent(layer.silent, 0)]);
  const cell = (tag, text, attributes) => Object.assign(document.createElement(tag), { textContent: text, ...attributes });
  const row = (cells) => { const tr = document.createElement("tr"); tr.append(...cells); return tr; };
  $("rates").replaceChildren(
    row(["layer", "units", "rate, Hz", "silent"].map((name, n) => cell("th", name, { scope: "col", className: n ? "right" : "" }))),
    ...rows.map(([name, ...rest]) => row([cell("th", name, { scope: "row" }), ...rest.map((text) => cell("td", text, { className: "right" }))])),
  );
}

// Start.

function listen() {
  $("undo").addEventListener("click", (event) => back(past, future, event.timeStamp));
  $("redo").addEventListener("click", (event) => back(future, past, event.timeStamp));
  $("network").addEventListener("click", () => save("network"));
  $("configuration").addEventListener("click", () => save("configuration"));
  $("presets").addEventListener("change", (event) => {
    const chosen = page.presets[event.target.value];
    if (chosen) change({ ...starts(), ...chosen }, event.timeStamp);
    event.target.value = "";
  });
  $("keep").addEventListener("click", keep);
  $("sample").addEventListener("input", (event) => {
    sample = Number(event.target.value);
    ask(event.timeStamp);
  });
  $("knobs").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.target.type === "number") return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) back(past, future, event.timeStamp);
    else if (key === "y" || (key === "z" && event.shiftKey)) back(future, past, event.timeStamp);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(() => draw()).observe($("raster"));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
}

const starts = () => Object.fromEntries(page.knobs.map((knob) => [knob.name, knob.start]));

async function start() {
  try {
    page = await (await fetch("state")).json();
  } catch (error) {
    return sayWhy(error);
  }
  numbers = starts();
  $("title").textContent = page.title;
  $("sample").max = page.samples - 1;
  makeKnobs();
  makePresets();
  listen();
  page.knobs.forEach(write);
  writeTools();
  say("Move a slider, by mouse, touch or arrow keys; Ctrl+Z takes it back. Each page has numbers of its own.");
  ask(performance.now());
}

start();
