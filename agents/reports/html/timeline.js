"use strict";
// The explorable episode: clients by zone against time, the grids' carbon and the accuracy below, a cursor through the decisions.

const { statuses, zones: zoneColours } = report.palette;
const { words } = report;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

class EpisodeTimeline {
  // One scheduler's episode on one canvas; `moved` is called with the hour under the pointer.
  constructor(host, name, moved) {
    this.moved = moved;
    this.choice = element("select", { onchange: () => this.load(this.choice.value) });
    for (const s of report.schedulers) {
      if (report.timelines[s.name]) this.choice.append(element("option", { value: s.name }, s.label));
    }
    this.choice.value = name;
    this.canvas = element("canvas");
    this.detail = element("div", { class: "detail" });
    host.append(element("div", { class: "timeline" },
      element("div", { class: "controls" }, this.choice, this.summary = element("span", { class: "soft" })), this.canvas, this.detail));
    this.canvas.addEventListener("mousemove", (event) => this.point(event));
    this.canvas.addEventListener("mouseleave", () => { this.client = null; hideTip(); this.draw(); });
    this.load(name);
  }

  load(name) {
    const data = report.timelines[name];
    this.data = data;
    this.rows = data.zone.map((zone, client) => ({ zone, client })).sort((a, b) => a.zone - b.zone || a.client - b.client);
    this.end = data.start_h.at(-1) + data.duration_h.at(-1);
    const count = (code) => data.status.reduce((n, row) => n + [...row].filter((c) => c === code).length, 0);
    const waits = data.status.filter((row) => !/[1-3]/.test(row)).length;
    this.summary.textContent = `episode ${data.episode}: ${data.start_h.length} decisions in ${number(this.end, 1)} h, ${waits} x ${words.nobody}, `
      + `${count("1")} ${words.statuses[1]}, ${count("2")} ${words.statuses[2]}, ${count("3")} ${words.statuses[3]}, accuracy ${number(100 * data.accuracy.at(-1), 1)} %`;
    this.moved();
  }

  layout(span) {
    const width = this.canvas.clientWidth || 1000, rowHeight = Math.max(3, Math.min(12, 420 / this.rows.length));
    const clients = rowHeight * this.rows.length;
    this.box = { left: 84, right: width - 12, top: 6, clients, carbon: clients + 26, carbonHeight: 96, accuracy: clients + 142, accuracyHeight: 80 };
    this.rowHeight = rowHeight;
    this.hourAt = (x) => span[0] + ((x - this.box.left) / (this.box.right - this.box.left)) * (span[1] - span[0]);
    this.x = scale(span[0], span[1], this.box.left, this.box.right);
    const height = this.box.accuracy + this.box.accuracyHeight + 30, ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.height = `${height}px`;
    this.pen = this.canvas.getContext("2d");
    this.pen.scale(ratio, ratio);
    this.pen.font = "12px system-ui, sans-serif";
  }

  draw(span = this.span, hour = this.hour) {
    [this.span, this.hour] = [span, hour];
    if (!span) return;
    this.layout(span);
    const pen = this.pen, { left, right } = this.box;
    pen.save();
    pen.beginPath();
    pen.rect(left, 0, right - left, this.canvas.height);
    pen.clip();
    this.drawClients();
    this.drawCarbon();
    this.drawAccuracy();
    this.drawCursor();
    pen.restore();
    this.drawLabels();
    this.describe();
  }

  drawClients() {
    const { pen, data, rowHeight } = this, half = rowHeight * 0.82;
    data.start_h.forEach((start, r) => {
      const from = this.x(start), to = this.x(start + data.duration_h[r]), waiting = !/[1-3]/.test(data.status[r]);
      if (to < this.box.left || from > this.box.right) return;
      if (waiting) {
        pen.fillStyle = css("--waiting");
        pen.globalAlpha = 0.16;
        pen.fillRect(from, this.box.top, to - from, this.box.clients);
        pen.globalAlpha = 1;
      }
      const busy = new Map(data.busy_h[r]);
      this.rows.forEach(({ client }, k) => {
        const y = this.box.top + k * rowHeight, code = Number(data.status[r][client]);
        if (data.available[r][client] === "1") {
          pen.fillStyle = css("--available");
          pen.fillRect(from, y, Math.max(to - from, 0.7), half);
        }
        if (code) {
          pen.fillStyle = css(`--${statuses[code]}`);
          pen.fillRect(from, y, Math.max(this.x(start + (busy.get(client) || 0)) - from, 1.5), half);
        }
      });
    });
  }

  drawCarbon() {
    const { data, pen, box } = this, most = Math.max(...data.carbon.flat(), 1);
    const y = scale(0, most * 1.05, box.carbon + box.carbonHeight, box.carbon);
    this.carbonY = y;
    this.carbonMost = most;
    data.carbon[0].forEach((_, zone) => {
      this.step(data.start_h, data.carbon.map((row) => y(row[zone])), zoneColours[zone % zoneColours.length]);
    });
  }

  drawAccuracy() {
    const { data, box } = this;
    const y = scale(0, 1, box.accuracy + box.accuracyHeight, box.accuracy);
    const ends = data.start_h.map((start, r) => start + data.duration_h[r]);
    this.step(ends, data.accuracy.map(y), css("--ink"));
    this.accuracyY = y;
  }

  step(hours, heights, colour) {
    const pen = this.pen;
    pen.strokeStyle = colour;
    pen.lineWidth = 1.7;
    pen.beginPath();
    hours.forEach((hour, r) => {
      pen.lineTo(this.x(hour), heights[r]);
      pen.lineTo(this.x(r + 1 < hours.length ? hours[r + 1] : this.end), heights[r]);
    });
    pen.stroke();
  }

  drawCursor() {
    if (this.hour === null || this.hour === undefined) return;
    const r = this.decision(), { pen, data, box } = this;
    pen.fillStyle = css("--accent");
    pen.globalAlpha = 0.1;
    pen.fillRect(this.x(data.start_h[r]), box.top, this.x(data.start_h[r] + data.duration_h[r]) - this.x(data.start_h[r]), box.clients);
    pen.globalAlpha = 1;
    pen.fillRect(this.x(this.hour), box.top, 1, box.accuracy + box.accuracyHeight - box.top);
  }

  drawLabels() {
    const { pen, box, rows, rowHeight } = this, bottom = box.accuracy + box.accuracyHeight;
    pen.textAlign = "right";
    report.zones.forEach((zone, index) => {
      const own = rows.map((row, k) => [row.zone, k]).filter(([z]) => z === index).map(([, k]) => k);
      if (!own.length) return;
      pen.fillStyle = zoneColours[index % zoneColours.length];
      pen.fillText(zone, box.left - 8, box.top + ((own[0] + own.at(-1) + 1) / 2) * rowHeight + 4, box.left - 10);
    });
    pen.fillStyle = css("--soft");
    pen.fillText("g CO2e/kWh", box.left - 8, box.carbon + box.carbonHeight / 2);
    pen.fillText(String(Math.round(this.carbonMost)), box.left - 8, this.carbonY(this.carbonMost) + 6);
    pen.fillText("accuracy", box.left - 8, box.accuracy + box.accuracyHeight / 2);
    pen.fillText("100 %", box.left - 8, box.accuracy + 8);
    pen.textAlign = "center";
    for (const hour of ticks(this.span[0], this.span[1], 8)) pen.fillText(`${hour} h`, this.x(hour), bottom + 18);
    pen.strokeStyle = css("--line");
    pen.lineWidth = 1;
    for (const y of [box.carbon + box.carbonHeight, bottom]) pen.strokeRect(box.left, y, box.right - box.left, 0);
  }

  decision() {
    const starts = this.data.start_h;
    let r = starts.findIndex((start) => start > this.hour);
    r = r < 0 ? starts.length - 1 : Math.max(r - 1, 0);
    return r;
  }

  describe() {
    if (this.hour === null || this.hour === undefined) { this.detail.textContent = "Point at the picture, or move the slider."; return; }
    const { data } = this, r = this.decision(), codes = [...data.status[r]];
    const many = (code) => codes.filter((c) => c === code).length, busy = codes.length - many("0");
    const what = busy ? `${busy} at work: ${many("1")} ${words.statuses[1]}, ${many("2")} ${words.statuses[2]}, ${many("3")} ${words.statuses[3]}`
      : words.nobody;
    const available = [...data.available[r]].filter((c) => c === "1").length;
    const grids = data.carbon[r].map((g, zone) => `${report.zones[zone] ?? zone} ${Math.round(g)}`).join(", ");
    this.detail.replaceChildren(
      element("b", {}, `Decision ${r + 1} of ${data.start_h.length}, ${number(data.start_h[r], 2)} h `),
      `(${number(60 * data.duration_h[r], 0)} min): ${available} available, ${what}; accuracy ${number(100 * data.accuracy[r], 1)} % afterwards.`,
      element("br"), `Grid intensity [g CO2e/kWh]: ${grids}.`);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const row = this.rows[Math.floor((y - this.box.top) / this.rowHeight)];
    this.moved(Math.max(this.span[0], Math.min(this.hourAt(x), this.span[1])));
    if (!row || y < this.box.top || x < this.box.left) { hideTip(); return; }
    const r = this.decision(), code = Number(this.data.status[r][row.client]);
    const state = this.data.available[r][row.client] === "1" ? "available" : "away";
    const busy = new Map(this.data.busy_h[r]).get(row.client);
    const work = code ? `\n${words.statuses[code]} after ${number(60 * (busy || 0), 0)} min` : "";
    showTip(event, `${words.element} ${row.client} (${report.zones[row.zone] ?? row.zone}), ${state}${work}`);
  }
}

function drawTimelines() {
  const host = document.getElementById("timelines"), slider = document.getElementById("hour");
  const names = report.first_timelines.filter((name) => report.timelines[name]);
  if (!names.length) { host.append("No episode was kept in full."); return; }
  const timelines = [];
  let zoom = 1, hour = null;
  const end = () => Math.max(...timelines.map((s) => s.end), 1e-6);
  const redraw = (at = hour) => {
    hour = at;
    if (timelines.length < names.length) return;
    const width = end() / zoom, middle = hour ?? end() / 2;
    const from = Math.max(0, Math.min(middle - width / 2, end() - width));
    timelines.forEach((s) => s.draw([from, from + width], hour));
    if (hour !== null) slider.value = (1000 * hour) / end();
  };
  // While the pointer moves, the window stays where it is.
  const moved = (at) => {
    if (at === undefined) { redraw(); return; }
    hour = at;
    slider.value = (1000 * hour) / end();
    timelines.forEach((s) => s.draw(s.span, hour));
  };
  for (const name of names) timelines.push(new EpisodeTimeline(host, name, moved));
  slider.oninput = () => redraw((slider.value / 1000) * end());
  document.getElementById("zoom-in").onclick = () => { zoom = Math.min(zoom * 2, 32); redraw(); };
  document.getElementById("zoom-out").onclick = () => { zoom = Math.max(zoom / 2, 1); redraw(); };
  document.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key) || event.target.matches?.("input, select")) return;
    const first = timelines[0], r = hour === null ? -1 : first.decision();
    const next = Math.max(0, Math.min(r + (event.key === "ArrowRight" ? 1 : -1), first.data.start_h.length - 1));
    redraw(first.data.start_h[next] + 1e-6);
  });
  addEventListener("resize", () => timelines.forEach((s) => s.draw()));
  redraw();
}
