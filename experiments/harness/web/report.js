"use strict";

function filterRows() {
  const search = document.getElementById("search");
  if (!search) return;
  const choices = [...document.querySelectorAll("select[data-filter]")];
  const count = document.getElementById("count");
  const given = new URLSearchParams(location.hash.slice(1));
  search.value = given.get("search") || "";
  for (const choice of choices) {
    const wanted = given.get(choice.dataset.filter);
    if ([...choice.options].some((option) => option.value === wanted)) choice.value = wanted;
  }
  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const section of document.querySelectorAll("section[data-table]")) {
      let inside = 0;
      for (const row of section.querySelectorAll("tbody tr")) {
        const text = (section.dataset.text + " " + row.textContent).toLowerCase();
        const fits = words.every((word) => text.includes(word)) &&
          choices.every((c) => !c.value || (row.dataset[c.dataset.filter] ?? section.dataset[c.dataset.filter]) === c.value);
        row.hidden = !fits;
        inside += fits;
      }
      section.hidden = !inside;
      shown += inside;
    }
    for (const heading of document.querySelectorAll("[data-heading]"))
      heading.hidden = !document.querySelector(
        `section[data-paper="${heading.dataset.heading}"]:not([hidden])`);
    count.textContent = `${shown} row${shown === 1 ? "" : "s"}`;
    const state = new URLSearchParams();
    if (search.value) state.set("search", search.value);
    for (const choice of choices) if (choice.value) state.set(choice.dataset.filter, choice.value);
    history.replaceState(null, "", "#" + state);
  }
  for (const input of [search, ...choices]) input.addEventListener("input", apply);
  apply();
}

const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f",
  "#bcbd22", "#17becf"];
const SVG = "http://www.w3.org/2000/svg";

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.appendChild(element);
  return element;
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : String(+value.toPrecision(4));
}

function ticks(low, high, num) {
  const rough = (high - low) / num, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-6; t += step) found.push(+t.toPrecision(12));
  return found;
}

function chart(holder) {
  const data = JSON.parse(holder.querySelector("script").textContent);
  const select = holder.querySelector("select"), log = holder.querySelector("input");
  const svg = holder.querySelector("svg"), legend = holder.querySelector(".legend");
  const W = 720, H = 340, L = 62, R = 30, T = 12, B = 36;
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  function draw() {
    svg.replaceChildren();
    const series = data.series[select.value], seeds = Object.keys(series);
    const reference = select.value === data.metric ? data.paper : null;
    const points = seeds.flatMap((seed) => series[seed]);
    const positive = points.every((p) => p[1] > 0) && (reference === null || reference > 0);
    log.disabled = !positive;
    const scale = log.checked && positive ? Math.log10 : (v) => v;
    const values = points.map((p) => p[1]).concat(reference === null ? [] : [reference]).map(scale);
    let low = Math.min(...values), high = Math.max(...values);
    if (low === high) { low -= Math.abs(low) * 0.1 + 1e-6; high += Math.abs(high) * 0.1 + 1e-6; }
    const last = Math.max(1, ...points.map((p) => p[0]));
    const x = (step) => L + (W - L - R) * step / last;
    const y = (value) => H - B - (H - B - T) * (scale(value) - low) / (high - low);
    for (const t of ticks(low, high, 5)) {
      const at = H - B - (H - B - T) * (t - low) / (high - low);
      add(svg, "line", { x1: L, x2: W - R, y1: at, y2: at, class: "axis" });
      add(svg, "text", { x: L - 6, y: at + 4, "text-anchor": "end" }, short(scale === Math.log10 ? 10 ** t : t));
    }
    for (const t of ticks(0, last, 5)) add(svg, "text", { x: x(t), y: H - B + 18, "text-anchor": "middle" }, short(t));
    add(svg, "text", { x: W - R, y: H - 4, "text-anchor": "end" }, "updates");
    if (reference !== null) {
      add(svg, "line", { x1: L, x2: W - R, y1: y(reference), y2: y(reference), class: "reference" });
      add(svg, "text", { x: W - R, y: y(reference) - 5, "text-anchor": "end" }, `paper ${short(reference)}`);
    }
    seeds.forEach((seed, i) => add(svg, "path", { stroke: COLOURS[i % COLOURS.length],
      d: series[seed].map((p, k) => `${k ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("") }));
    const cursor = add(svg, "line", { y1: T, y2: H - B, class: "cursor", visibility: "hidden" });
    function say(step) {
      legend.replaceChildren(...seeds.map((seed, i) => {
        const own = series[seed];
        const near = step === null ? own[own.length - 1]
          : own.reduce((a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a);
        const span = document.createElement("span");
        span.style.color = COLOURS[i % COLOURS.length];
        span.textContent = `seed ${seed}: ${short(near[1])} at update ${near[0]}`;
        return span;
      }));
    }
    svg.onpointermove = (event) => {
      const box = svg.getBoundingClientRect();
      const step = ((event.clientX - box.left) * W / box.width - L) * last / (W - L - R);
      const inside = Math.max(0, Math.min(last, step));
      cursor.setAttribute("x1", x(inside));
      cursor.setAttribute("x2", x(inside));
      cursor.setAttribute("visibility", "visible");
      say(inside);
    };
    svg.onpointerleave = () => { cursor.setAttribute("visibility", "hidden"); say(null); };
    say(null);
  }
  select.addEventListener("input", draw);
  log.addEventListener("input", draw);
  draw();
}

function manifold(holder) {
  const data = JSON.parse(holder.querySelector("script").textContent);
  const plane = holder.querySelector(".plane"), svg = plane.querySelector("svg");
  const answer = holder.querySelector(".answer"), said = holder.querySelector(".said");
  const label = holder.querySelector("select");
  svg.setAttribute("viewBox", "0 0 100 100");
  for (const [x, y, k] of data.points)
    add(svg, "circle", { cx: (x + data.limit) * 50 / data.limit, cy: (data.limit - y) * 50 / data.limit, r: 0.5,
      fill: COLOURS[k % COLOURS.length], opacity: 0.65 });
  const mark = add(svg, "circle", { r: 1.6, fill: "none", stroke: "currentColor", "stroke-width": 0.7 });
  let at = [0, 0];
  function show() {
    const place = (v) => Math.max(0, Math.min(data.side - 1, Math.round((v / data.limit + 1) / 2 * data.side - 0.5)));
    const column = place(at[0]), row = data.side - 1 - place(at[1]);
    answer.style.backgroundImage = `url("${data.sprites[label ? label.selectedIndex : 0]}")`;
    answer.style.backgroundSize = `${data.side * 100}% ${data.side * 100}%`;
    answer.style.backgroundPosition = `${column * 100 / (data.side - 1)}% ${row * 100 / (data.side - 1)}%`;
    mark.setAttribute("cx", (at[0] + data.limit) * 50 / data.limit);
    mark.setAttribute("cy", (data.limit - at[1]) * 50 / data.limit);
    said.textContent = `z = (${at[0].toFixed(2)}, ${at[1].toFixed(2)})`;
  }
  function move(event) {
    const box = plane.getBoundingClientRect();
    at = [((event.clientX - box.left) / box.width * 2 - 1) * data.limit,
      (1 - (event.clientY - box.top) / box.height * 2) * data.limit];
    show();
  }
  plane.addEventListener("pointermove", move);
  plane.addEventListener("pointerdown", move);
  if (label) label.addEventListener("input", show);
  show();
}

filterRows();
document.querySelectorAll(".chart").forEach(chart);
document.querySelectorAll(".manifold").forEach(manifold);
