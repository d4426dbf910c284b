"use strict";
// Small helpers: elements, scales, axes and the tooltip. Text always enters through textContent.

const report = JSON.parse(document.getElementById("report-data").textContent);
const byName = Object.fromEntries(report.schedulers.map((s) => [s.name, s]));

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick" || key === "onchange" || key === "oninput") node[key] = value;
    else if (key === "style") Object.assign(node.style, value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function svg(tag, attributes = {}, text = null) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  return node;
}

function swatch(colour) {
  return element("span", { class: "swatch", style: { background: colour } });
}

function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

function ticks(low, high, count = 6) {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found.map((value) => Number(value.toPrecision(10)));
}

function number(value, decimals = 2) {
  return Number.isFinite(value) ? value.toFixed(decimals) : "–";
}

// A plot area of viewBox width x height with margins; axes are drawn at once, marks are added by the caller.
function plot(width, height, { x, y, xLabel, yLabel, margin = {} }) {
  const m = { left: 58, right: 16, top: 12, bottom: 44, ...margin };
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": yLabel || xLabel });
  const xScale = scale(x[0], x[1], m.left, width - m.right);
  const yScale = scale(y[0], y[1], height - m.bottom, m.top);
  for (const value of ticks(x[0], x[1], 7)) {
    root.append(svg("line", { class: "grid", x1: xScale(value), x2: xScale(value), y1: m.top, y2: height - m.bottom }));
    root.append(svg("text", { class: "tick", x: xScale(value), y: height - m.bottom + 17, "text-anchor": "middle" }, String(value)));
  }
  if (yLabel !== undefined) {
    for (const value of ticks(y[0], y[1], 6)) {
      root.append(svg("line", { class: "grid", x1: m.left, x2: width - m.right, y1: yScale(value), y2: yScale(value) }));
      root.append(svg("text", { class: "tick", x: m.left - 7, y: yScale(value) + 4, "text-anchor": "end" }, String(value)));
    }
    const middle = (m.top + height - m.bottom) / 2;
    root.append(svg("text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, yLabel));
  }
  root.append(svg("text", { x: (m.left + width - m.right) / 2, y: height - 6, "text-anchor": "middle" }, xLabel));
  return { root, xScale, yScale, margin: m, width, height };
}

function extent(values, pad = 0.05) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const low = Math.min(...known), high = Math.max(...known);
  const room = (high - low || Math.abs(high) || 1) * pad;
  return [low - room, high + room];
}

const tip = element("div", { class: "tip" });
document.body.append(tip);

function showTip(event, text) {
  tip.textContent = text;
  tip.style.opacity = 1;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - box.width - 8)}px`;
  tip.style.top = `${Math.max(8, event.clientY - box.height - 10)}px`;
}

function hideTip() { tip.style.opacity = 0; }

function withTip(node, text) {
  node.addEventListener("mousemove", (event) => showTip(event, text));
  node.addEventListener("mouseleave", hideTip);
  return node;
}

// One choice of schedulers for all plots; the three best and what is not handcrafted are shown at first.
const shown = new Set(report.schedulers.filter((s) => s.prominent).map((s) => s.name));
const redraws = [];

function legend(container) {
  const paint = () => container.replaceChildren(...report.schedulers.map((s) =>
    element("button", {
      "aria-pressed": String(shown.has(s.name)),
      onclick: () => {
        if (!shown.delete(s.name)) shown.add(s.name);
        redraws.forEach((draw) => draw());
      },
    }, swatch(s.colour), s.label)));
  redraws.push(paint);
}
