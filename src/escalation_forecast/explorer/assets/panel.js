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

function decoded(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)), view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}
for (const one of data.questions) one.values = decoded(one.values);
for (const knob of Object.values(data.knobs)) knob.draws = decoded(knob.draws);

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "circle", "title"].includes(name);
  const space = svg ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function digits(x, n = 3) {
  if (x === null) return "no end";
  return Number(x.toPrecision(n)).toLocaleString("en", { maximumFractionDigits: 8 }).replace("-", "−");
}
function within(numbers, n) {
  const [low, middle, high] = numbers.map((x) => digits(x, n));
  return `${middle} (90 % between ${low} and ${high})`;
}
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
function numbersAt(columns, place) {
  return Object.fromEntries(Object.entries(columns).map(([key, column]) => [key, column[place]]));
}
const movedNames = () => [...positions.keys()].filter((name) => placeOf(name) !== data.knobs[name].home);

function logRatio(names) {
  const ratio = new Float64Array(total);
  for (const name of names) {
    const knob = data.knobs[name], density = LOG_DENSITIES[knob.family];
    const after = density(numbersAt(knob.used, placeOf(name)));
    const before = density(numbersAt(knob.used, knob.home));
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
  if (!own.length) {
    return { ...found, after: question.before, change: 0, changeError: 0, word: moved.length ? "unchanged" : "" };
  }
  const weights = smooth(logRatio(own), data.shape);
  const mean = weightedMean(question.values, weights.values, data.shape);
  const after = anchored(question, mean);
  return {
    ...found, ...judged(weights), weights: weights.values, k: weights.k, ess: weights.ess, plain: mean.plain,
    weighted: mean.value, mcse: mean.mcse, after, change: after - question.before,
    changeError: question.share * mean.moved,
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
const WIDTH_WORDS = { 0.5: "half as wide", 1: "as wide as in the run", 2: "twice as wide" };
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
  if (found.word === "not told here") {
    return [found.word, `Not told in a browser: ${found.why.join("; ")}. The command below tells.`];
  }
  if (found.word === "unchanged") return ["good", "What is moved does not bear on this question."];
  if (found.word === "fit again") {
    const [word, need] = AGAIN[question.part], all = `All ${data.draws.toLocaleString("en")} draws of the run may`;
    const what = `${all}; if not, ${need}. The command below does what is needed.`;
    return [word, `These draws cannot tell: ${found.why.join("; ")}. ${what}`];
  }
  const k = Number.isFinite(found.k) ? `k ${found.k.toFixed(2)} (limit ${found.limit.toFixed(2)}); ` : "";
  const left = `the weights leave ${found.left.toFixed(0)} of ${total.toLocaleString("en")} draws`;
  const told = found.word === "good" ? "can tell" : "just about tell";
  const part = percent(question.share);
  const pooled = question.share === 1 ? "" : ` The answer is pooled: ${part} of the model's change count.`;
  const sentence = `The draws at hand ${told}: ${k}${left}, as good as ${found.ess.toFixed(0)} independent ones.`;
  return [found.word, sentence + pooled];
}

// ---- The file and the command ---------------------------------------------------------------------------

const bare = (label) => (/^[\w-]+$/.test(label) ? label : JSON.stringify(label));

function tomlText() {
  const tables = new Map();  // prior -> parameter -> number, or label -> number
  for (const name of movedNames()) {
    const knob = data.knobs[name], run = numbersAt(knob.written, knob.home);
    const now = numbersAt(knob.written, placeOf(name));
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
  const written = (value) => {
    if (!(value instanceof Map)) return String(value);
    return `{ ${[...value].map(([key, one]) => `${bare(key)} = ${written(one)}`).join(", ")} }`;
  };
  return [...tables].map(([prior, table]) => `[priors.${prior}]\nparameters = ${written(table)}\n`).join("\n");
}

function command(question) {
  const asked = `--run runs/${data.run} --question ${question.id} --refit auto`;
  return `escalation-forecast priors update my_priors.toml ${asked}`;
}

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

const NO_DATA = "No data of this run speak to it: what is drawn is the prior.";

function ends(from, to) {
  const both = [from, to].map((text) => element("span", {}, text));
  return element("div", { class: "ef-px-ends", "aria-hidden": "true" }, ...both);
}

function rangeOf(knob, places) {
  const [low, high] = knob.bounds;
  let reached = places.map((place) => [knob.quantiles[place][0], knob.quantiles[place][2]]);
  if (knob.part === "model") {
    const sorted = Float64Array.from(knob.draws).sort();
    const near = [0.002, 0.998].map((q) => sorted[Math.floor(q * (total - 1))]), reach = 2 * (near[1] - near[0]);
    // A long tail of the prior must not press what the data say into a line.
    reached = [...reached.map(([a, b]) => [Math.max(a, near[0] - reach), Math.min(b, near[1] + reach)]), near];
  }
  let from = Math.min(...reached.map((e) => e[0])), to = Math.max(...reached.map((e) => e[1]));
  const room = 0.12 * (to - from);
  from = low === null ? from - room : Math.max(low, from - room);
  to = high === null ? to + room : Math.min(high, to + room);
  return [from, to];
}

function drawing(name, weights) {
  const knob = data.knobs[name], place = placeOf(name), moved = place !== knob.home;
  const [from, to] = rangeOf(knob, moved ? [knob.home, place] : [knob.home]);
  const x = Array.from({ length: POINTS }, (_, i) => from + ((to - from) * (i + 0.5)) / POINTS);
  const prior = (at) => x.map(LOG_DENSITIES[knob.family](numbersAt(knob.used, at))).map(Math.exp);
  const lines = [["old-prior", "prior of the run", prior(knob.home)]];
  if (moved) lines.push(["new-prior", "your prior", prior(place)]);
  if (knob.part === "model") {
    const density = (shares) => weightedDensity(knob.draws, shares, x, knob.bounds);
    lines.push(["old-post", "with the data, before", density(new Float64Array(total).fill(1 / total))]);
    if (weights) lines.push(["new-post", "with the data, now", density(weights)]);
  }
  // A density without bound at an end must not press the others flat.
  const top = 1.06 * Math.max(...lines.map(([, , y]) => largest(y.slice(2, -2))));
  const xs = (v) => ((v - from) / (to - from)) * WIDE;
  const ys = (v) => HIGH - FOOT - Math.min(v / top, 1) * (HIGH - FOOT - 4);
  const paths = lines.map(([kind, , y]) => {
    const d = x.map((v, i) => `${i ? "L" : "M"}${xs(v).toFixed(1)} ${ys(y[i]).toFixed(1)}`).join("");
    return element("path", { class: `ef-px-${kind}`, d });
  });
  const means = lines.map(([, words, y]) => `${words} ${digits(sum(x.map((v, i) => v * y[i])) / sum(y))}`);
  const said = `Densities of ${name} from ${digits(from)} to ${digits(to)}; means within: ${means.join(", ")}.`;
  const axis = element("line", { class: "ef-px-axis", x1: 0, x2: WIDE, y1: HIGH - FOOT, y2: HIGH - FOOT });
  return [
    element("svg", { viewBox: `0 0 ${WIDE} ${HIGH - FOOT + 2}`, role: "img", "aria-label": said }, axis, ...paths),
    ends(digits(from), digits(to)),
    ...(knob.part === "chain" ? [element("p", { class: "ef-px-note" }, NO_DATA)] : []),
  ];
}

function scale(found) {
  const { before, after, changeError } = found;
  const most = Math.max(before, after === null ? 0 : after + 1.28 * changeError);
  const top = Math.min(1, Math.max(0.02, 1.2 * most)), xs = (p) => 10 + 280 * Math.min(1, p / top);
  const parts = [
    element("line", { class: "ef-px-axis", x1: 10, x2: 290, y1: 16, y2: 16 }),
    element("circle", { class: "ef-px-old-dot", cx: xs(before), cy: 16, r: 6 }),
  ];
  if (after !== null && found.moved.length) {
    const [x1, x2] = [Math.max(0, after - 1.28 * changeError), after + 1.28 * changeError].map(xs);
    parts.push(element("line", { class: "ef-px-error", x1, x2, y1: 16, y2: 16 }));
    parts.push(element("circle", { class: "ef-px-new-dot", cx: xs(after), cy: 16, r: 6 }));
  }
  return [
    element("svg", { viewBox: "0 0 300 32", "aria-hidden": "true" }, ...parts),
    ends("0 %", percent(top)),
  ];
}

// ---- Controls -------------------------------------------------------------------------------------------

function slider(name, id, of, words, steps) {
  const made = { type: "range", id, min: 0, max: steps - 1, step: 1, "data-knob": name, "data-of": of };
  const input = element("input", { ...made, "aria-label": `${words}: ${name}` });
  const value = element("span"), label = element("label", { for: id }, element("span", {}, words), value);
  input.addEventListener("input", () => {
    const now = positions.get(name) || { by: HOME_BY, width: HOME_WIDTH };
    positions.set(name, { ...now, [of]: Number(input.value) });
    show();
  });
  return { input, label, value };
}

function row(name) {
  const knob = data.knobs[name], id = `ef-px-${number}-${name.replace(/\W/g, "-")}`;
  const place = slider(name, `${id}-by`, "by", "Place", data.by.length);
  const width = knob.wide ? slider(name, `${id}-width`, "width", "Width", data.widths.length) : null;
  const sliders = [place, width].flatMap((one) => (one ? [one.label, one.input] : []));
  const reset = element("button", { type: "button", "data-reset": name, "aria-label": `Reset ${name}` }, "Reset");
  reset.addEventListener("click", () => {
    positions.delete(name);
    show();
    // The button is dead now, and its row may be gone.
    (place.input.isConnected ? place.input : find("question")).focus();
  });
  const said = element("p", { class: "ef-px-meaning" }), law = element("p", { class: "ef-px-law" });
  const chart = element("div", { class: "ef-px-chart" }), hint = element("span", { class: "ef-px-hint" });
  const summary = element("summary", {}, "What this prior is");
  const details = element("details", {}, summary, element("p", {}, `${knob.reason}.`));
  const box = element("fieldset", {}, element("legend", {}, element("code", {}, name), hint),
    element("div", { class: "ef-px-about" }, said, law, details),
    element("div", { class: "ef-px-sliders" }, ...sliders, reset), chart);
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
  const same = wanted.length === list.children.length && wanted.every((box, i) => box === list.children[i]);
  if (!same) list.replaceChildren(...wanted);
  return names;
}

function fill(name, question, found) {
  const { box, place, width, reset, said, law, chart, hint } = rows.get(name);
  const now = positions.get(name) || { by: HOME_BY, width: HOME_WIDTH }, meaning = meaningOf(name);
  const words = meaning || priorWords(name);
  place.input.value = now.by;
  place.input.setAttribute("aria-valuetext", `${SD(data.by[now.by])}; ${words}`);
  place.value.textContent = SD(data.by[now.by]);
  if (width) {
    width.input.value = now.width;
    width.input.setAttribute("aria-valuetext", `${widthWords(data.widths[now.width])}; ${words}`);
    width.value.textContent = `× ${data.widths[now.width]}`;
  }
  const home = placeOf(name) === data.knobs[name].home, at = question.knobs.indexOf(name);
  reset.disabled = home;
  box.classList.toggle("ef-px-moved", !home);
  const unclear = "moves this answer hardly, or by chance";
  hint.textContent = at < 0 ? strange(name, question) : question.clear[at] ? "" : unclear;
  said.textContent = meaning ? `${meaning[0].toUpperCase()}${meaning.slice(1)}.` : "";
  law.textContent = `${priorWords(name)}.`;
  const relied = ["good", "doubtful"].includes(found.word);
  chart.replaceChildren(...drawing(name, relied ? found.weights : null));
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

const FURTHER = {
  good: "Not needed while the word above is good.",
  doubtful: "All draws tell more surely than those here.",
};

function show(quiet = false) {
  const question = questions.get(find("question").value), found = answer(question), moved = found.moved.length > 0;
  const [word, sentence] = verdictOf(question, found), told = found.after !== null && found.word !== "fit again";
  const now = !moved ? "–" : told ? percent(found.after) : "not known";
  const error = `Monte Carlo error ${digits(100 * found.changeError || 0, 2)}`;
  const change = told && moved ? `Change ${signed(100 * found.change)} points, ${error}.` : "";
  const text = tomlText();
  find("old").textContent = percent(found.before);
  find("new").textContent = now;
  find("change").textContent = change;
  find("word").textContent = word;
  find("word").dataset.word = word;
  find("why").textContent = sentence;
  find("scale").replaceChildren(...scale({ ...found, after: told ? found.after : null }));
  for (const name of arrange(question)) fill(name, question, found);
  find("toml").textContent = text || "# No prior is moved.";
  find("command").textContent = command(question);
  find("rerun").textContent = FURTHER[word] || "Needed here: the draws in this page cannot tell.";
  find("take").hidden = !moved;
  find("reset").disabled = !moved;
  if (!quiet) {
    const said = moved ? `, with your priors ${now}. ${change} ${word}.` : "";
    announce(`${question.title}: ${percent(found.before)}${said}`);
  }
  section.dispatchEvent(new CustomEvent("ef-px-result", { bubbles: true, detail: { ...found, toml: text } }));
}

function start() {
  const chooser = find("question"), groups = new Map();
  for (const one of data.questions) {
    if (!groups.has(one.group)) groups.set(one.group, element("optgroup", { label: one.group }));
    groups.get(one.group).append(element("option", { value: one.id }, one.title));
  }
  chooser.append(...groups.values());
  chooser.value = data.first;
  chooser.addEventListener("change", () => show());
  find("reset").addEventListener("click", () => { positions.clear(); show(); chooser.focus(); });
  for (const button of section.querySelectorAll("button[data-field]")) {
    button.addEventListener("click", () => copy(button, find(button.dataset.field).textContent));
  }
  find("app").hidden = false;
  show(true);
}
start();
