// Draws the time lines and the outages, and lets tables be sorted and filtered. Without it the page still has every number.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// How a state is drawn: height is the share of the row, so that states differ in shape as well as in colour.
const states = [
  { name: "predicted to serve", stroke: "var(--forecast)", inset: 6.5 },
  { name: "predicted not to serve", stroke: "var(--forecast)", inset: 6.5, dash: "2,3" },
  { name: "served", fill: "var(--served)", inset: 4 },
  { name: "not served", fill: "var(--silent)", inset: 2 },
  { name: "not served, as predicted", stroke: "var(--forecast)", inset: 3.5 },
  { name: "served against the prediction", fill: "var(--undue)", stroke: "var(--ink)", inset: 0.5 },
  { name: "acknowledged", fill: "var(--served)", inset: 5.5 },
  { name: "acknowledged, then lost", fill: "var(--lost)", inset: 3.5 },
  { name: "time to detect", stroke: "var(--phase)", inset: 5 },
  { name: "time to promote", fill: "var(--phase)", inset: 5 },
  { name: "time to the first write", fill: "var(--phase)", inset: 3 },
  { name: "time to redundancy, from the heal", stroke: "var(--phase)", inset: 5, dash: "2,2" },
];
const rowHeight = 15;
const number = (x) => (Math.round(x * 10) / 10 || 0).toFixed(1) + " s"; // no -0.0

// element makes a DOM element with its attributes and children.
function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// name makes a chart one picture with a name: its parts mean nothing to a screen reader, and a table follows.
function name(chart, label) {
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", label);
  for (const part of chart.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  return chart;
}

// median of two in the middle is the lower one, as in the tables.
const median = (values) => Float64Array.from(values).sort()[(values.length - 1) >> 1];
const width = (figure) => Math.max(560, Math.min(figure.clientWidth || 900, 1160));

// --- time lines

// labels puts steps that are too near for labels of their own under one.
function labels(steps, room) {
  const merged = [];
  for (const s of steps) {
    const last = merged.at(-1);
    const text = s.more ? s.text + " ✗" : s.text;
    if (last && s.at - last.at < room * (1 + last.text.length)) last.text += ", " + text;
    else merged.push({ at: s.at, text });
  }
  return merged;
}

// steps names the steps above the picture, those at its right edge to the left of their line.
function steps(t, w) {
  const list = labels(t.steps, (t.to - t.from) * 6 / (w - 154));
  const right = (d) => d.at > t.from + (t.to - t.from) * 0.85;
  const options = { x: "at", text: "text", frameAnchor: "top", dy: -12, fill: "var(--muted)" };
  return [
    Plot.ruleX(t.steps, { x: "at", stroke: "var(--muted)", strokeDasharray: "1,3" }),
    Plot.textX(list.filter((d) => !right(d)), { ...options, textAnchor: "start" }),
    Plot.textX(list.filter(right), { ...options, textAnchor: "end" }),
  ];
}

function timeline(t, w) {
  const rows = t.rows.map((r) => ({ ...r, key: `${r.shard} ${r.name}` }));
  const domain = rows.flatMap((r, i) => (i && r.shard !== rows[i - 1].shard ? [`gap ${r.shard}`, r.key] : [r.key]));
  if (t.alerts) domain.push("gap", "alerts");
  const text = new Map(rows.map((r) => [r.key, r.name === "predicted" ? `shard ${r.shard}: predicted` : r.name]));
  const spans = rows.flatMap((r) => r.spans.map((s) => ({ ...s, row: r.key, title: `shard ${r.shard}, ${r.name}\n${s.state}\n${number(s.from)} to ${number(s.to)}` })));
  const marks = rows.flatMap((r) => (r.marks || []).map((m) => ({ ...m, row: r.key })));
  return Plot.plot({
    width: w, height: domain.length * rowHeight + 60, marginLeft: 130, marginTop: 24, marginBottom: 36, marginRight: 24,
    x: { domain: [t.from, t.to], label: `seconds after ${t.zero}`, labelAnchor: "center", labelArrow: "none" },
    y: { domain, label: null, tickSize: 0, padding: 0, tickFormat: (k) => text.get(k) ?? (k === "alerts" ? k : "") },
    marks: [
      Plot.rectX(t.fault ? [t.fault] : [], { x1: "from", x2: "to", fill: "var(--fault)" }),
      steps(t, w),
      states.map((s) => Plot.barX(spans.filter((d) => d.state === s.name), {
        x1: "from", x2: "to", y: "row", fill: s.fill || "none", stroke: s.stroke || "none", strokeDasharray: s.dash,
        insetTop: s.inset, insetBottom: s.inset, title: "title",
      })),
      Plot.dot(marks, { x: "at", y: "row", symbol: "diamond", r: 5.5, fill: "var(--paper)", stroke: "var(--ink)", strokeWidth: 1.5, title: "more" }),
      Plot.text(marks, { x: "at", y: "row", text: "text", dx: 9, textAnchor: "start", fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4, fontWeight: 600 }),
      Plot.dot(t.alerts || [], { x: "at", y: () => "alerts", symbol: "triangle", r: 5, fill: "var(--silent)", stroke: "var(--ink)", title: (d) => `${d.text}: ${d.more}` }),
    ],
  });
}

// events tells the time line in words.
function events(t) {
  const list = t.steps.map((s) => [s.at, "case", s.text + (s.more ? ": " + s.more : "")]);
  for (const r of t.rows) {
    if (r.name === "predicted") continue;
    for (const s of r.spans) {
      if (s.state !== "served") list.push([s.from, `shard ${r.shard}`, `${r.name}: ${s.state}, for ${number(s.to - s.from)}`]);
    }
    for (const m of r.marks || []) list.push([m.at, `shard ${r.shard}`, m.more]);
  }
  for (const a of t.alerts || []) list.push([a.at, "alert", `${a.text}: ${a.more}`]);
  const body = element("tbody");
  for (const [at, what, text] of list.sort((a, b) => a[0] - b[0])) {
    body.append(element("tr", {}, element("td", { class: "number" }, number(at)), element("td", {}, what), element("td", {}, text)));
  }
  const head = ["After " + t.zero, "What", "Event"].map((h) => element("th", { scope: "col" }, h));
  return element("details", {}, element("summary", {}, "The time line in words"),
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), body));
}

// legend explains the states that a time line has.
function legend(t) {
  const used = new Set(t.rows.flatMap((r) => r.spans.map((s) => s.state)));
  const items = states.filter((s) => used.has(s.name)).map((s) => {
    const swatch = Plot.plot({ width: 26, height: rowHeight, margin: 0, axis: null, marks: [Plot.rect([0], {
      x1: 0, x2: 1, y1: 0, y2: 1, fill: s.fill || "none", stroke: s.stroke || "none", strokeDasharray: s.dash, insetTop: s.inset, insetBottom: s.inset })] });
    swatch.setAttribute("aria-hidden", "true");
    return element("li", {}, swatch, s.name);
  });
  const shade = t.fault ? [element("li", {}, "shaded: the fault, until it was proven over")] : [];
  const diamond = t.rows.some((r) => r.marks) ? [element("li", {}, "◇ another primary")] : [];
  return element("ul", { class: "legend" }, ...items, ...shade, ...diamond);
}

// show draws the time line of an unfolded case.
function show(details) {
  const figure = details.querySelector("figure.timeline");
  const t = figure && data.cases[figure.dataset.case];
  if (!t || figure.firstElementChild?.tagName === "svg") return;
  figure.replaceChildren(name(timeline(t, width(figure)), "Time line of " + figure.dataset.case));
  figure.after(legend(t), events(t));
}

// --- outages

function outages(figure) {
  if (!data.outages?.length) return;
  const group = (d) => (d.primary ? "primary in the set" : "primary not in the set");
  const kinds = new Set(data.outages.map((d) => d.kind));
  const chart = Plot.plot({
    width: width(figure), height: 70 + kinds.size * 52, marginLeft: 150, marginRight: 110, marginBottom: 40,
    x: { label: "outage in seconds", labelAnchor: "center", labelOffset: 36, labelArrow: "none", grid: true, zero: true }, y: { label: null, padding: 0.2 }, fy: { label: null, padding: 0.15 },
    marks: [
      Plot.tickX(data.outages, Plot.groupY({ x: median }, { x: "seconds", y: group, fy: "kind", stroke: "var(--ink)", strokeWidth: 2 })),
      Plot.dot(data.outages, {
        x: "seconds", y: group, fy: "kind", r: 4, symbol: (d) => (d.primary ? "circle" : "cross"), stroke: (d) => (d.primary ? "var(--silent)" : "var(--served)"),
        fill: (d) => (d.primary ? "var(--silent)" : "none"), fillOpacity: 0.35, title: (d) => `${d.case}\nshard ${d.shard}: ${number(d.seconds)}`,
      }),
    ],
  });
  figure.replaceChildren(name(chart, "Outages by kind of fault; the table below has the numbers"));
}

function repeats(figure) {
  if (!data.repeats?.length) return;
  const cases = [...new Set(data.repeats.map((d) => d.of))];
  const looks = { pass: ["circle", "var(--pass)"], slower: ["triangle", "var(--slower)"], indeterminate: ["square", "var(--undecided)"], fail: ["times", "var(--fail)"] };
  const chart = Plot.plot({
    width: width(figure), height: 70 + cases.length * 34, marginLeft: 20 + 6.5 * Math.max(...cases.map((c) => c.length)), marginBottom: 40,
    x: { label: "outage in seconds", labelAnchor: "center", labelOffset: 36, labelArrow: "none", grid: true, zero: true }, y: { label: null, domain: cases, padding: 0.2 },
    marks: [
      Plot.tickX(data.repeats, Plot.groupY({ x: median }, { x: "seconds", y: "of", stroke: "var(--ink)", strokeWidth: 2 })),
      Object.entries(looks).map(([outcome, [symbol, stroke]]) => Plot.dot(data.repeats.filter((d) => d.outcome === outcome), {
        x: "seconds", y: "of", r: 4, symbol, stroke, strokeWidth: 1.5, title: (d) => `${d.case}\n${d.outcome}: ${number(d.seconds)}` })),
    ],
  });
  const used = new Set(data.repeats.map((d) => d.outcome));
  const signs = { pass: "○", slower: "△", indeterminate: "□", fail: "×" };
  const items = Object.keys(looks).filter((o) => used.has(o)).map((o) => element("li", {}, `${signs[o]} ${o}`));
  figure.replaceChildren(name(chart, "Outages of the runs of each repeated case; the table below has the numbers"));
  figure.after(element("ul", { class: "legend" }, ...items, element("li", {}, "| median")));
}

// --- tables

function sortable(table) {
  const value = (row, i) => row.cells[i].dataset.sort ?? row.cells[i].textContent.trim();
  const compare = (a, b) => (isNaN(parseFloat(a)) || isNaN(parseFloat(b)) ? a.localeCompare(b) : parseFloat(a) - parseFloat(b));
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((th, i) => {
    const button = element("button", { type: "button" }, ...th.childNodes);
    th.append(button);
    button.addEventListener("click", () => {
      const down = th.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, i), value(b, i)) * (down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}

function filter(form, table) {
  const rows = [...table.tBodies[0].rows];
  const apply = () => {
    const words = form.text.value.toLowerCase().split(/\s+/);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((w) => text.includes(w)) || (form.verdict.value !== "" && row.dataset.verdict !== form.verdict.value);
    }
    form.querySelector("output").value = `${rows.filter((r) => !r.hidden).length} of ${rows.length}`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (e) => e.preventDefault());
  apply();
}

function copyable(replay) {
  const button = element("button", { type: "button", class: "copy" }, "copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(replay.querySelector("code").textContent);
    button.textContent = "copied";
  });
  replay.append(" ", button);
}

// open shows the case that the address names.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") {
    target.open = true;
    show(target);
    target.scrollIntoView();
  }
}

for (const table of document.querySelectorAll("table.sortable")) sortable(table);
const form = document.querySelector("form.filter");
if (form) filter(form, document.getElementById("verdicts"));
for (const replay of document.querySelectorAll(".replay")) copyable(replay);
// Time lines are drawn when they come near: a page may have hundreds.
const near = new IntersectionObserver((seen) => seen.filter((s) => s.isIntersecting).forEach((s) => show(s.target.closest("details"))), { rootMargin: "500px" });
for (const figure of document.querySelectorAll("figure.timeline")) near.observe(figure);
window.addEventListener("beforeprint", () => document.querySelectorAll("details.case[open]").forEach(show));
const chart = document.getElementById("outage-chart");
if (chart) outages(chart);
const repeated = document.getElementById("repeat-chart");
if (repeated) repeats(repeated);
window.addEventListener("hashchange", open);
if (location.hash) open();

// --- a run that goes on

// place is what a reader did to the page, and keep and restore take it over to the next one.
const place = "cutset-place";

function keep() {
  sessionStorage.setItem(place, JSON.stringify({
    y: scrollY,
    folded: Object.fromEntries([...document.querySelectorAll("details.case")].map((d) => [d.id, d.open])),
    sorted: [...document.querySelectorAll("table.sortable")].map((t) => [t.closest("section").getAttribute("aria-labelledby"),
      [...t.tHead.rows[0].cells].findIndex((th) => th.hasAttribute("aria-sort")), t.querySelector("[aria-sort]")?.getAttribute("aria-sort")]),
    text: form?.text.value, verdict: form?.verdict.value, typing: form !== null && document.activeElement === form.text,
  }));
}

function restore() {
  const was = JSON.parse(sessionStorage.getItem(place));
  if (!was) return;
  sessionStorage.removeItem(place);
  for (const [id, unfolded] of Object.entries(was.folded)) {
    const details = document.getElementById(id);
    if (details) details.open = unfolded;
  }
  for (const [section, column, direction] of was.sorted) {
    const button = document.querySelectorAll(`section[aria-labelledby="${section}"] table.sortable thead button`)[column];
    for (let clicks = { ascending: 1, descending: 2 }[direction] ?? 0; clicks > 0; clicks--) button?.click();
  }
  if (form && was.text !== undefined) {
    [form.text.value, form.verdict.value] = [was.text, was.verdict];
    form.dispatchEvent(new Event("input"));
    if (was.typing) form.text.focus({ preventScroll: true });
  }
  document.querySelectorAll("details.case[open]").forEach(show); // what is above the place has its height, too
  scrollTo(0, was.y);
}

const live = document.getElementById("live");
if (live) {
  history.scrollRestoration = "manual";
  restore();
  const events = new EventSource("events");
  events.addEventListener("now", (e) => { live.textContent = e.data; });
  events.addEventListener("page", (e) => {
    if (e.data === live.dataset.version) return;
    events.close();
    keep();
    location.reload();
  });
  events.addEventListener("end", (e) => {
    events.close();
    live.previousElementSibling.textContent = "Ended.";
    live.textContent = e.data;
  });
}
