// The controls over `weights.js`: sliders, the answer, drawings, and the priors as a file.

const section = document.currentScript.closest(".ef-px");
const data = JSON.parse(section.querySelector(".ef-px-data").textContent);
const number = [...document.querySelectorAll(".ef-px")].indexOf(section);
const find = (name) => section.querySelector(`.ef-px-${name}`);
const questions = new Map(data.questions.map((one) => [one.id, one]));
const HOME_BY = data.by.indexOf(0), HOME_WIDTH = data.widths.indexOf(1);
const total = data.shape[0] * data.shape[1];
const positions = new Map();  // name -> { by, width }: places on the two sliders
const rows = new Map();
let changed = "";

function decoded(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
for (const one of data.questions) one.values = decoded(one.values);
for (const knob of Object.values(data.knobs)) knob.draws = decoded(knob.draws);

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "title"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const digits = (x, n = 3) => (x === null ? "no end" : Number(x.toPrecision(n)).toLocaleString("en", { maximumFractionDigits: 8 }).replace("-", "−"));
const within = ([low, middle, high], n) => `${digits(middle, n)} (90 % between ${digits(low, n)} and ${digits(high, n)})`;
const signed = (x, n = 2) => (x > 0 ? "+" : "") + digits(x, n);
function percent(p) {
  const value = 100 * p;
  if (value < 0.1) return "<0.1 %";
  if (value > 99.9) return ">99.9 %";
  return `${value.toFixed(value >= 10 && value <= 95 ? 0 : 1)} %`;
}

// Where a prior stands among all its places, and its numbers there.
const placeOf = (name) => {
  const { by, width } = positions.get(name) || { by: HOME_BY, width: HOME_WIDTH };
  return (data.knobs[name].wide ? width * data.by.length : 0) + by;
};
const numbersAt = (columns, place) => Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, column[place]]));
const movedNames = () => [...positions.keys()].filter((name) => placeOf(name) !== data.knobs[name].home);

function logRatio(names) {
  const ratio = new Float64Array(total);
  for (const name of names) {
    const knob = data.knobs[name], density = LOG_DENSITIES[knob.family];
    const after = density(numbersAt(knob.used, placeOf(name))), before = density(numbersAt(knob.used, knob.home));
    knob.draws.forEach((x, i) => { ratio[i] += after(x) - before(x); });
  }
  return ratio;
}

// The answer under the priors as they stand.
function answer(question) {
  const moved = movedNames(), own = moved.filter((name) => data.knobs[name].part === question.part);
  const found = { id: question.id, moved, before: question.before, after: null, weights: null };
  if (question.part === "chain" && own.length < moved.length) {
    const others = moved.filter((name) => !own.includes(name)).join(", ");
    const why = `under ${others} the chances of force are pooled again, and wars follow from them`;
    return { ...found, word: "not told here", why: [why] };
  }
  if (!own.length) return { ...found, after: question.before, change: 0, changeError: 0, word: moved.length ? "unchanged" : "" };
  const weights = smooth(logRatio(own), data.shape), verdict = judged(weights);
  const mean = weightedMean(question.values, weights.values, data.shape);
  const change = question.share * (mean.value - mean.plain);
  return {
    ...found, ...verdict, weights: weights.values, k: weights.k, ess: weights.ess, plain: mean.plain,
    weighted: mean.value, mcse: mean.mcse, changeError: question.share * mean.moved,
    after: anchored(question, mean), change: anchored(question, mean) - question.before,
    changeOfDraws: change,
  };
}

// The published probability moved as the thinned draws say, by the same log odds so that it stays a chance.
function anchored(question, { value, plain }) {
  const { before, share } = question;
  if (share !== 1 || ![before, value, plain].every((p) => p > 0 && p < 1)) {
    return Math.min(1, Math.max(0, before + share * (value - plain)));
  }
  const odds = (p) => p / (1 - p), after = (odds(before) * odds(value)) / odds(plain);
  return after / (1 + after);
}

// ---- Words ----------------------------------------------------------------------------------------------

const SD = (by) => (by === 0 ? "as the run has it" : `${signed(by)} sd`);
const WIDTH_WORDS = { 0.5: "half as wide", 0.71: "0.71 times as wide", 1: "as wide as in the run", 1.41: "1.41 times as wide", 2: "twice as wide" };
const widthWords = (width) => WIDTH_WORDS[width] || `${width} times as wide`;

function meaningOf(name) {
  const knob = data.knobs[name], place = placeOf(name);
  return knob.outcome ? `${knob.outcome}: ${within(knob.sizes[place], 2)} ${knob.unit}` : "";
}
function priorWords(name) {
  const knob = data.knobs[name], place = placeOf(name);
  const inside = Object.entries(knob.used).map(([key, column]) => `${key} ${digits(column[place])}`).join(", ");
  return `${knob.family}(${inside}): median ${within(knob.quantiles[place])}`;
}
const AGAIN = {
  model: ["fit again", "the model would have to be fitted again"],
  chain: ["simulate again", "the wars would have to be simulated again"],
};
function verdictOf(question, found) {
  if (!found.moved.length) return ["", "No prior is moved. Move one below."];
  if (found.word === "not told here") return [found.word, `Not told in a browser: ${found.why.join("; ")}. The command below tells.`];
  if (found.word === "unchanged") return ["good", "What is moved does not bear on this question."];
  const left = `k ${Number.isFinite(found.k) ? found.k.toFixed(2) : "does not exist"} (limit ${found.limit.toFixed(2)}); the weights leave ${found.left.toFixed(0)} of ${total.toLocaleString("en")} draws, as good as ${found.ess.toFixed(0)} independent ones`;
  if (found.word === "fit again") {
    const [word, need] = AGAIN[question.part];
    return [word, `These draws cannot tell: ${found.why.join("; ")}. All ${data.draws.toLocaleString("en")} draws of the run may; if not, ${need}. The command below does what is needed.`];
  }
  return [found.word, `${found.word === "good" ? "The draws at hand can tell" : "The draws at hand just about tell"}: ${left}.`];
}

// ---- The file and the command ---------------------------------------------------------------------------

const bare = (label) => (/^[\w-]+$/.test(label) ? label : JSON.stringify(label));

function tomlText() {
  const tables = new Map();  // prior -> parameter -> number, or label -> number
  for (const name of movedNames()) {
    const knob = data.knobs[name], now = numbersAt(knob.written, placeOf(name)), run = numbersAt(knob.written, knob.home);
    if (!tables.has(knob.prior)) tables.set(knob.prior, new Map());
    const table = tables.get(knob.prior);
    for (const [key, value] of Object.entries(now)) {
      if (!knob.label) table.set(key, value);
      else if (table.has(key) || value !== Number(run[key].toPrecision(6))) {
        if (!table.has(key)) table.set(key, new Map(Object.entries(knob.others[key] || {})));
        table.get(key).set(knob.label, value);
      }
    }
  }
  const inside = (value) => (value instanceof Map ? `{ ${[...value].map(([label, one]) => `${bare(label)} = ${one}`).join(", ")} }` : value);
  return [...tables].map(([prior, table]) =>
    `[priors.${prior}]\nparameters = { ${[...table].map(([key, value]) => `${key} = ${inside(value)}`).join(", ")} }\n`).join("\n");
}
const command = (question) => `escalation-forecast priors update my_priors.toml --run runs/${data.run} --question ${question.id} --refit auto`;

async function copy(button, text) {
  const said = find("copied");
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = `${button.dataset.what} copied.`;
  } catch {
    const field = find(button.dataset.field);
    getSelection().selectAllChildren(field);
    said.textContent = "Not copied; the text is selected, press Ctrl+C.";
  }
}

// ---- Drawings -------------------------------------------------------------------------------------------

const POINTS = 160, WIDE = 300, HIGH = 92, FOOT = 16;

function rangeOf(knob, places) {
  const [low, high] = knob.bounds;
  let ends = places.map((place) => [knob.quantiles[place][0], knob.quantiles[place][2]]);
  if (knob.part === "model") {
    const sorted = Float64Array.from(knob.draws).sort(), near = [0.002, 0.998].map((q) => sorted[Math.floor(q * (total - 1))]);
    const width = near[1] - near[0];
    // A long tail of the prior must not press what the data say into a line.
    ends = [...ends.map(([a, b]) => [Math.max(a, near[0] - 2 * width), Math.min(b, near[1] + 2 * width)]), near];
  }
  let from = Math.min(...ends.map((e) => e[0])), to = Math.max(...ends.map((e) => e[1]));
  const room = 0.12 * (to - from);
  from = low === null ? from - room : Math.max(low, from - room);
  to = high === null ? to + room : Math.min(high, to + room);
  return [from, to];
}

function drawing(name, weights) {
  const knob = data.knobs[name], place = placeOf(name), moved = place !== knob.home;
  const [from, to] = rangeOf(knob, moved ? [knob.home, place] : [knob.home]);
  const x = Array.from({ length: POINTS }, (_, i) => from + ((to - from) * (i + 0.5)) / POINTS);
  const prior = (at) => { const density = LOG_DENSITIES[knob.family](numbersAt(knob.used, at)); return x.map((v) => Math.exp(density(v))); };
  const lines = [["old-prior", "prior of the run", prior(knob.home)]];
  if (moved) lines.push(["new-prior", "your prior", prior(place)]);
  if (knob.part === "model") {
    lines.push(["old-post", "with the data, before", weightedDensity(knob.draws, new Float64Array(total).fill(1 / total), x, knob.bounds)]);
    if (weights) lines.push(["new-post", "with the data, now", weightedDensity(knob.draws, weights, x, knob.bounds)]);
  }
  // A density without bound at an end must not press the others flat.
  const top = 1.06 * Math.max(...lines.map(([, , y]) => largest(y.slice(2, -2))));
  const xs = (v) => ((v - from) / (to - from)) * WIDE, ys = (v) => HIGH - FOOT - Math.min(v / top, 1) * (HIGH - FOOT - 4);
  const paths = lines.map(([kind, , y]) => element("path", { class: `ef-px-${kind}`, d: x.map((v, i) => `${i ? "L" : "M"}${xs(v).toFixed(1)} ${ys(y[i]).toFixed(1)}`).join("") }));
  const middle = (y) => sum(x.map((v, i) => v * y[i])) / sum(y);
  const said = `Densities of ${name} from ${digits(from)} to ${digits(to)}; means within: ${lines.map(([, words, y]) => `${words} ${digits(middle(y))}`).join(", ")}.`;
  const axis = element("line", { class: "ef-px-axis", x1: 0, x2: WIDE, y1: HIGH - FOOT, y2: HIGH - FOOT });
  return [
    element("svg", { viewBox: `0 0 ${WIDE} ${HIGH - FOOT + 2}`, role: "img", "aria-label": said }, axis, ...paths),
    element("div", { class: "ef-px-ends", "aria-hidden": "true" }, element("span", {}, digits(from)), element("span", {}, digits(to))),
    ...(knob.part === "chain" ? [element("p", { class: "ef-px-note" }, "No data speak to it: what is drawn is the prior.")] : []),
  ];
}

function scale(found) {
  const { before, after, changeError } = found;
  const top = Math.min(1, Math.max(0.02, 1.35 * Math.max(before, after === null ? 0 : after + (changeError || 0)))), xs = (p) => 10 + 280 * Math.min(1, p / top);
  const parts = [
    element("line", { class: "ef-px-axis", x1: 10, x2: 290, y1: 16, y2: 16 }),
    element("circle", { class: "ef-px-old-dot", cx: xs(before), cy: 16, r: 6 }),
  ];
  if (after !== null && found.moved.length) {
    parts.push(element("line", { class: "ef-px-error", x1: xs(Math.max(0, after - 1.28 * changeError)), x2: xs(after + 1.28 * changeError), y1: 16, y2: 16 }));
    parts.push(element("circle", { class: "ef-px-new-dot", cx: xs(after), cy: 16, r: 6 }));
  }
  return [
    element("svg", { viewBox: "0 0 300 32", "aria-hidden": "true" }, ...parts),
    element("div", { class: "ef-px-ends", "aria-hidden": "true" }, element("span", {}, "0 %"), element("span", {}, percent(top))),
  ];
}

// ---- Controls -------------------------------------------------------------------------------------------

function row(name) {
  const knob = data.knobs[name], id = `ef-px-${number}-${name.replace(/\W/g, "-")}`;
  const place = element("input", { type: "range", id: `${id}-by`, min: 0, max: data.by.length - 1, step: 1, "data-knob": name, "data-of": "by" });
  const sliders = [element("label", { for: `${id}-by` }, element("span", {}, "Place"), element("output", { for: `${id}-by` })), place];
  let width = null;
  if (knob.wide) {
    width = element("input", { type: "range", id: `${id}-width`, min: 0, max: data.widths.length - 1, step: 1, "data-knob": name, "data-of": "width" });
    sliders.push(element("label", { for: `${id}-width` }, element("span", {}, "Width"), element("output", { for: `${id}-width` })), width);
  }
  const reset = element("button", { type: "button", "data-reset": name, "aria-label": `Reset ${name}` }, "Reset");
  const said = element("p", { class: "ef-px-meaning" }), law = element("p", { class: "ef-px-law" }), chart = element("div", { class: "ef-px-chart" });
  const hint = element("span", { class: "ef-px-hint" });
  const reason = element("details", {}, element("summary", {}, "What this prior is"), element("p", {}, `${knob.reason}.`));
  const box = element("fieldset", {}, element("legend", {}, element("code", {}, name), hint),
    element("div", { class: "ef-px-about" }, said, law, reason),
    element("div", { class: "ef-px-sliders" }, ...sliders, reset), chart);
  for (const [slider, of] of [[place, "by"], [width, "width"]]) {
    if (!slider) continue;
    slider.addEventListener("input", () => {
      const now = positions.get(name) || { by: HOME_BY, width: HOME_WIDTH };
      positions.set(name, { ...now, [of]: Number(slider.value) });
      changed = name;
      show();
    });
  }
  reset.addEventListener("click", () => { positions.delete(name); show(); });
  return { box, place, width, reset, said, law, chart, hint };
}

function shownNames(question) {
  return [...new Set([...question.knobs, ...movedNames()])];
}

// Sliders keep the focus: rows are made once and only put in or taken out.
function arrange(question) {
  const names = shownNames(question), list = find("rows");
  for (const name of names) if (!rows.has(name)) rows.set(name, row(name));
  const wanted = names.map((name) => rows.get(name).box);
  if (wanted.length !== list.children.length || wanted.some((box, i) => box !== list.children[i])) list.replaceChildren(...wanted);
  return names;
}

function fill(name, question, found) {
  const { box, place, width, reset, said, law, chart, hint } = rows.get(name);
  const now = positions.get(name) || { by: HOME_BY, width: HOME_WIDTH }, meaning = meaningOf(name);
  const words = meaning || priorWords(name);
  place.value = now.by;
  place.setAttribute("aria-valuetext", `${SD(data.by[now.by])}; ${words}`);
  place.previousSibling.lastChild.textContent = SD(data.by[now.by]);
  if (width) {
    width.value = now.width;
    width.setAttribute("aria-valuetext", `${widthWords(data.widths[now.width])}; ${words}`);
    width.previousSibling.lastChild.textContent = data.widths[now.width] === 1 ? "× 1" : `× ${data.widths[now.width]}`;
  }
  place.setAttribute("aria-label", `${name}, place in standard deviations`);
  if (width) width.setAttribute("aria-label", `${name}, width`);
  const home = placeOf(name) === data.knobs[name].home, at = question.knobs.indexOf(name);
  reset.disabled = home;
  box.classList.toggle("ef-px-moved", !home);
  hint.textContent = at < 0 ? strange(name, question) : question.clear[at] ? "" : "moves this answer hardly, or by chance";
  said.textContent = meaning ? `${meaning[0].toUpperCase()}${meaning.slice(1)}.` : "";
  law.textContent = `${priorWords(name)}.`;
  chart.replaceChildren(...drawing(name, found.word === "good" || found.word === "doubtful" ? found.weights : null));
}

// What a prior moved for another question does here.
function strange(name, question) {
  const { part } = data.knobs[name];
  if (part === question.part) return "moved for another question; counts here too";
  return part === "chain" ? "does not bear on this answer" : "keeps this answer from being told here";
}

let waiting = 0;
function announce(text) {
  clearTimeout(waiting);
  waiting = setTimeout(() => { find("said").textContent = text; }, 400);
}

function show() {
  const question = questions.get(find("question").value), found = answer(question);
  const names = arrange(question), [word, sentence] = verdictOf(question, found);
  const told = found.after !== null && found.word !== "fit again";
  find("old").textContent = percent(found.before);
  find("new").textContent = !found.moved.length ? "–" : told ? percent(found.after) : "not known";
  const change = told && found.moved.length ? `Change ${signed(100 * found.change)} points, Monte Carlo error ${digits(100 * found.changeError, 2)}.` : "";
  find("change").textContent = change;
  find("word").textContent = word;
  find("word").dataset.word = word;
  find("why").textContent = sentence;
  find("scale").replaceChildren(...scale({ ...found, after: told ? found.after : null }));
  for (const name of names) fill(name, question, found);
  const text = tomlText();
  find("toml").textContent = text || "# No prior is moved.";
  find("command").textContent = command(question);
  find("take").hidden = !found.moved.length;
  find("reset").disabled = !found.moved.length;
  find("rerun").textContent = word === "fit again" || word === "simulate again" || word === "not told here" ? "Needed here: the draws in this page cannot tell." : "Not needed while the word above is good.";
  announce(`${question.title}: ${percent(found.before)}${found.moved.length ? `, with your priors ${told ? percent(found.after) : "not known"}. ${change} ${word}` : ""}`);
  section.dispatchEvent(new CustomEvent("ef-px-result", { bubbles: true, detail: { ...found, last: changed, toml: text } }));
}

function start() {
  const chooser = find("question"), groups = new Map();
  for (const one of data.questions) {
    if (!groups.has(one.group)) groups.set(one.group, element("optgroup", { label: one.group }));
    groups.get(one.group).append(element("option", { value: one.id }, one.title));
  }
  chooser.append(...groups.values());
  chooser.value = data.first;
  chooser.addEventListener("change", show);
  find("reset").addEventListener("click", () => { positions.clear(); show(); chooser.focus(); });
  for (const button of section.querySelectorAll("button[data-field]")) {
    button.addEventListener("click", () => copy(button, find(button.dataset.field).textContent));
  }
  find("app").hidden = false;
  show();
}
start();
