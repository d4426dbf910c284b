"use strict";
// The table and the plots; each draws into its own figure from the embedded data.

function drawTable() {
  const host = document.getElementById("table");
  let order = { key: null, down: true };
  const head = element("tr"), body = element("tbody");
  const columns = [{ key: null, label: "scheduler" }, ...report.metrics];
  const fill = () => {
    const value = (s) => s.cells[order.key].value;
    const worst = order.down ? -Infinity : Infinity;
    const rank = (s) => (Number.isFinite(value(s)) ? value(s) : worst);
    const rows = order.key === null ? report.schedulers
      : [...report.schedulers].sort((a, b) => (order.down ? rank(b) - rank(a) : rank(a) - rank(b)));
    body.replaceChildren(...rows.map((s) => element("tr", { class: s.kind },
      element("td", {}, swatch(s.colour), s.label),
      ...report.metrics.map((m) => tableCell(s.cells[m.key], m)))));
    [...head.children].forEach((cell, k) => {
      cell.removeAttribute("aria-sort");
      if (columns[k].key === order.key) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    });
  };
  head.append(...columns.map((column) => element("th", {
    title: column.help || "",
    onclick: () => {
      order = { key: column.key, down: order.key === column.key ? !order.down : column.better !== "low" };
      fill();
    },
  }, column.label)));
  host.append(element("table", {}, element("thead", {}, head), body));
  fill();
}

function tableCell(cell, metric) {
  const text = (value) => number(value, metric.decimals);
  if (!Number.isFinite(cell.value)) return element("td", {}, cell.text || "–");
  const range = Number.isFinite(cell.low) ? `${text(cell.low)} – ${text(cell.high)}` : "";
  return element("td", {}, text(cell.value), element("small", {}, cell.text || range));
}

function drawNetPoints() {
  const rows = report.schedulers, step = 24, width = 560, height = rows.length * step + 66;
  const margin = { left: 190, top: 8 };
  const spans = rows.flatMap((s) => [s.cells.net_points.low, s.cells.net_points.high, 0]);
  const area = plot(width, height, { x: extent(spans), y: [0, 1], xLabel: "net points (interquartile mean, 95% interval)", margin });
  rows.forEach((s, k) => {
    const y = area.margin.top + (k + 0.5) * step, { value, low, high } = s.cells.net_points;
    area.root.append(svg("text", { x: margin.left - 10, y: y + 4, "text-anchor": "end" }, s.label));
    area.root.append(svg("line", { x1: area.xScale(low), x2: area.xScale(high), y1: y, y2: y, stroke: s.colour, "stroke-width": 3 }));
    const dot = svg("circle", { cx: area.xScale(value), cy: y, r: 5.5, fill: s.colour });
    area.root.append(withTip(dot, `${s.label}\n${number(value)} [${number(low)}, ${number(high)}]`));
  });
  document.getElementById("net-points").append(area.root);
  drawTerms(rows, step, height, margin);
}

function drawTerms(rows, step, height, margin) {
  const colours = report.palette.terms;
  const costs = Object.keys(colours).filter((term) => term !== "accuracy");
  const paid = rows.map((s) => costs.reduce((sum, term) => sum + s.terms[term], 0));
  const span = extent([0, ...paid, ...rows.map((s) => s.terms.accuracy)]);
  const area = plot(560, height, { x: span, y: [0, 1], xLabel: "accuracy points, mean of the episodes", margin });
  rows.forEach((s, k) => {
    const y = area.margin.top + k * step + 4;
    area.root.append(svg("text", { x: margin.left - 10, y: y + 12, "text-anchor": "end" }, s.label));
    let below = 0;
    for (const term of Object.keys(colours)) {
      const from = term === "accuracy" ? 0 : below, to = from + s.terms[term];
      if (term !== "accuracy") below = to;
      const ends = [area.xScale(from), area.xScale(to)].sort((a, b) => a - b);
      const bar = svg("rect", { x: ends[0], width: ends[1] - ends[0], y, height: step - 8, fill: colours[term] });
      area.root.append(withTip(bar, `${s.label}\n${term}: ${number(s.terms[term])} points`));
    }
    const net = area.xScale(s.terms.accuracy + below);
    area.root.append(svg("line", { class: "axis", x1: net, x2: net, y1: y - 2, y2: y + step - 6, style: "stroke-width:2.5;stroke:var(--ink)" }));
  });
  const key = element("figcaption");
  for (const [term, colour] of Object.entries(colours)) key.append(swatch(colour), term === "accuracy" ? "accuracy gained" : `${term} paid`, "   ");
  document.getElementById("terms").append(area.root, key);
}

// Lines with bands over a common grid: accuracy curves and performance profiles.
function lines(area, data, names) {
  for (const name of names) {
    const series = data.series[name];
    if (!series) continue;
    const point = (value, k) => `${area.xScale(data.grid[k]).toFixed(1)},${area.yScale(value).toFixed(1)}`;
    const band = [...series.high.map(point), ...series.low.map(point).reverse()].join(" ");
    area.root.append(svg("polygon", { points: band, fill: byName[name].colour, opacity: 0.13 }));
    const line = svg("polyline", {
      points: series.mean.map(point).join(" "), fill: "none", stroke: byName[name].colour, "stroke-width": 2.2,
      "stroke-dasharray": byName[name].kind === "ceiling" ? "6 4" : "none",
    });
    area.root.append(withTip(line, byName[name].label));
    if (series.end !== undefined) {
      const at = series.mean[Math.min(data.grid.length - 1, data.grid.findIndex((g) => g >= series.end))];
      area.root.append(svg("circle", { cx: area.xScale(series.end), cy: area.yScale(at), r: 4.5, fill: byName[name].colour }));
    }
  }
}

// The part of the curves that matters for those shown: some schedulers run ten times longer than others.
function cut(data, names, reach) {
  const found = data.grid.findIndex((value) => value >= reach), count = found < 2 ? data.grid.length : found + 1;
  const part = (series) => ({ ...series, mean: series.mean.slice(0, count), low: series.low.slice(0, count), high: series.high.slice(0, count) });
  return { grid: data.grid.slice(0, count), series: Object.fromEntries(names.map((name) => [name, part(data.series[name])])) };
}

function drawCurves() {
  const host = document.getElementById("curves"), choice = document.getElementById("curve-axis");
  const units = { hours: "hours", gigabytes: "GB moved", kilograms: "kg CO2e" };
  for (const key of Object.keys(report.curves)) choice.append(element("option", { value: key }, units[key]));
  const draw = () => {
    const names = report.schedulers.map((s) => s.name).filter((name) => shown.has(name));
    const whole = report.curves[choice.value], reach = 1.1 * Math.max(...names.map((name) => whole.series[name].end));
    const data = names.length ? cut(whole, names, reach) : whole;
    const top = Math.max(0, ...Object.values(data.series).flatMap((s) => s.high));
    const area = plot(1100, 430, {
      x: [0, data.grid.at(-1)], y: [0, Math.min(100, top + 3)], xLabel: units[choice.value], yLabel: `${report.words.accuracy} [%]`,
    });
    lines(area, data, names);
    host.replaceChildren(area.root);
  };
  choice.onchange = draw;
  redraws.push(draw);
}

function drawProfiles() {
  const host = document.getElementById("profiles"), data = report.profiles;
  redraws.push(() => {
    const area = plot(560, 380, {
      x: [data.grid[0], data.grid.at(-1)], y: [0, 1], xLabel: "net points τ", yLabel: "share of episodes with more than τ",
    });
    lines(area, data, report.schedulers.map((s) => s.name).filter((name) => shown.has(name)));
    host.replaceChildren(area.root);
  });
}

function drawPareto() {
  const host = document.getElementById("pareto"), choice = document.getElementById("pareto-axis");
  const units = { hours: "hours", gigabytes: "GB moved", kilograms: "kg CO2e" };
  for (const key of Object.keys(units)) choice.append(element("option", { value: key }, units[key]));
  choice.value = "kilograms";
  const draw = () => {
    const cost = (s) => s.cells[choice.value].value, gain = (s) => s.cells.accuracy.value;
    const all = report.schedulers;
    const area = plot(560, 380, {
      x: extent([0, ...all.map(cost)]), y: extent(all.map(gain)), xLabel: `${units[choice.value]} (interquartile mean)`, yLabel: "test accuracy [%]",
    });
    const beaten = (s) => all.some((o) => o !== s && o.kind !== "ceiling" && cost(o) <= cost(s) && gain(o) >= gain(s)
      && (cost(o) < cost(s) || gain(o) > gain(s)));
    const front = all.filter((s) => s.kind !== "ceiling" && !beaten(s)).sort((a, b) => cost(a) - cost(b));
    const path = front.map((s, k) => `${k ? "H" : "M"}${area.xScale(cost(s))}${k ? "V" : ","}${area.yScale(gain(s))}`).join("");
    area.root.append(svg("path", { d: path, fill: "none", class: "axis", "stroke-dasharray": "3 3" }));
    for (const s of all) {
      const dot = svg("circle", {
        cx: area.xScale(cost(s)), cy: area.yScale(gain(s)), r: front.includes(s) ? 7 : 5, fill: s.colour,
        stroke: "var(--paper)", "stroke-width": 1.5, opacity: s.kind === "ceiling" ? 0.55 : 1,
      });
      area.root.append(withTip(dot, `${s.label}\n${number(gain(s), 1)} % at ${number(cost(s))} ${units[choice.value]}`));
    }
    let last = { x: -1e9, y: 0 };
    for (const s of front) {
      const x = area.xScale(cost(s)) + 10, y = area.yScale(gain(s)) + 16;
      last = { x, y: x - last.x < 130 && Math.abs(y - last.y) < 14 ? last.y + 14 : y };
      area.root.append(svg("text", { x, y: last.y }, s.label));
    }
    host.replaceChildren(area.root);
  };
  choice.onchange = draw;
  draw();
}

function drawPairs() {
  const host = document.getElementById("pairs"), rows = report.schedulers.filter((s) => s.differences);
  if (!rows.length) { host.append("No handcrafted scheduler was evaluated."); return; }
  const step = 26, height = rows.length * step + 60, margin = { left: 190, right: 150, top: 8 };
  const area = plot(1100, height, { x: extent([0, ...rows.flatMap((s) => s.differences)]), y: [0, 1], xLabel: `net points minus ${report.rival}'s, same episode`, margin });
  const zero = area.xScale(0);
  area.root.append(svg("line", { class: "axis", x1: zero, x2: zero, y1: margin.top, y2: height - area.margin.bottom }));
  rows.forEach((s, k) => {
    const y = margin.top + (k + 0.5) * step;
    area.root.append(svg("text", { x: margin.left - 10, y: y + 4, "text-anchor": "end" }, s.label));
    s.differences.forEach((difference, episode) => {
      const jitter = (((episode * 0.618034) % 1) - 0.5) * step * 0.55;
      const dot = svg("circle", { cx: area.xScale(difference), cy: y + jitter, r: 2.6, fill: s.colour, opacity: 0.55 });
      area.root.append(withTip(dot, `${s.label}, episode ${episode}: ${difference > 0 ? "+" : ""}${number(difference)}`));
    });
    const { difference: mean, low, high, share_won: won } = s.comparison;
    area.root.append(svg("line", { x1: area.xScale(low), x2: area.xScale(high), y1: y, y2: y, style: "stroke:var(--ink);stroke-width:3" }));
    area.root.append(svg("text", { class: "tick", x: 1100 - margin.right + 12, y: y + 4 },
      `${mean > 0 ? "+" : ""}${number(mean, 1)}, ahead in ${Math.round(100 * won)}%`));
  });
  host.append(area.root);
}
