// The scatter as Plotly draws it: zoom, hover, and a click to the neuron. The script and the points
// are loaded when a reader asks. Plotly keeps axes, hover and legend; the points, which may be a
// hundred thousand, are drawn on a canvas behind it, since one element each would take seconds.

import { loadPlotly } from "./plotly.js";

const self = document.querySelector("script[data-plotly][data-source]");
const frame = document.querySelector("[data-scatter-frame]");
const form = document.querySelector("[data-scatter-form]");
const summary = document.querySelector("[data-scatter-summary]");
const SIDES = ["left", "right"];

async function loadPoints(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  const object = await answer.json();
  if (!answer.ok) throw new Error(object.error?.message ?? `the server said ${answer.status}`);
  return object;
}

function colour(name, within = document.documentElement) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  within.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Points by group: the versions, or all where a row is a pair.
function groupsOf(object) {
  const { side, layer, neuron, x, y } = object.points;
  const keys = object.of === "pair" ? [""] : SIDES.slice(0, object.right_name === null ? 1 : 2);
  const groups = keys.map((key) => ({
    key, name: key === "left" ? object.left_name : key === "right" ? object.right_name : "both versions",
    ink: key ? colour(`--${key}-mark`, document.body) : colour("--ink", document.body),
    x: [], y: [], layer: [], neuron: [],
  }));
  for (let n = 0; n < x.length; n += 1) {
    if ((object.x.log && x[n] <= 0) || (object.y.log && y[n] <= 0)) continue;
    const group = groups[object.of === "pair" ? 0 : side[n]];
    group.x.push(x[n]); group.y.push(y[n]); group.layer.push(layer[n]); group.neuron.push(neuron[n]);
  }
  return groups;
}

function nameOf(group, n) { return `L${group.layer[n]}N${group.neuron[n]}`; }
function shown(value) { return String(value).replace("-", "−"); }

class Scatter {
  constructor(Plotly, target, said) {
    this.Plotly = Plotly;
    this.target = target;
    this.said = said;
    this.canvas = document.createElement("canvas");
    this.at = null;
  }

  async draw(object) {
    this.object = object;
    this.groups = groupsOf(object);
    this.order = null;
    this.at = null;
    const ink = colour("--ink"), dim = colour("--dim"), line = colour("--line");
    const traces = this.groups.flatMap((group) => [
      { type: "scatter", mode: "none", x: group.x, y: group.y, name: group.name, legendgroup: group.key, showlegend: false,
        text: group.x.map((_, n) => nameOf(group, n)), hovertemplate: `%{text} ${group.name}<br>${object.x.title} %{x}<br>${object.y.title} %{y}<extra></extra>`,
        hoverlabel: { bgcolor: colour("--raised"), bordercolor: group.ink, font: { color: ink } } },
      { type: "scatter", mode: "markers", x: [null], y: [null], name: `${group.name} (${group.x.length.toLocaleString("en")})`, legendgroup: group.key, marker: { color: group.ink, size: 8 }, hoverinfo: "skip" },
    ]);
    const axis = (view) => ({
      title: { text: view.title + (view.log ? ", log" : "") }, type: view.log ? "log" : "linear", exponentformat: "e",
      gridcolor: line, zerolinecolor: line, linecolor: dim, range: this.range(view),
    });
    const style = getComputedStyle(document.body);
    await this.Plotly.react(this.target, traces, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: style.fontFamily, size: 12, color: ink },
      margin: { l: 70, r: 10, t: 34, b: 48 }, hovermode: "closest", hoverdistance: 12, dragmode: "zoom",
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 13 } }, xaxis: axis(object.x), yaxis: axis(object.y),
    }, { responsive: true, displaylogo: false, scrollZoom: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
    if (!this.canvas.isConnected) {
      this.target.prepend(this.canvas);
      for (const event of ["plotly_afterplot", "plotly_relayouting"]) this.target.on(event, () => this.paint());
      this.target.on("plotly_hover", (event) => this.tell(event.points[0]));
      this.target.on("plotly_click", (event) => this.go(event.points[0]));
      this.target.addEventListener("keydown", (event) => this.key(event));
    }
    this.paint();
  }

  // Room for all points; on a logarithmic axis in powers of ten.
  range(view) {
    let low = Infinity, high = -Infinity;
    for (const group of this.groups) for (const value of group[view === this.object.x ? "x" : "y"]) {
      const placed = view.log ? Math.log10(value) : value;
      if (placed < low) low = placed;
      if (placed > high) high = placed;
    }
    if (low > high) [low, high] = [0, 1];
    const room = 0.03 * (high - low) || 0.5;
    return [low - room, high + room];
  }

  paint() {
    const layout = this.target._fullLayout;
    const { xaxis, yaxis } = layout;
    const ratio = devicePixelRatio || 1;
    const { canvas } = this;
    canvas.width = layout.width * ratio; canvas.height = layout.height * ratio;
    canvas.style.width = `${layout.width}px`; canvas.style.height = `${layout.height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.beginPath();
    pen.rect(xaxis._offset, yaxis._offset, xaxis._length, yaxis._length);
    pen.clip();
    const n = this.groups.reduce((sum, group) => sum + group.x.length, 0);
    const size = n > 20000 ? 2 : n > 3000 ? 3 : 5;
    pen.globalAlpha = n > 20000 ? 0.35 : n > 3000 ? 0.5 : 0.7;
    // The versions in turns, so that neither lies on the other.
    const visible = this.groups.map((_, number) => this.target._fullData[2 * number].visible === true);
    const most = Math.max(0, ...this.groups.map((group) => group.x.length));
    const step = Math.max(1, Math.ceil(most / 40));
    for (let start = 0; start < most; start += step) {
      this.groups.forEach((group, number) => {
        if (!visible[number]) return;
        pen.fillStyle = group.ink;
        for (let i = start; i < Math.min(start + step, group.x.length); i += 1) {
          const x = xaxis._offset + xaxis.c2p(xaxis.d2c(group.x[i])), y = yaxis._offset + yaxis.c2p(yaxis.d2c(group.y[i]));
          if (x > -9 && x < layout.width + 9) pen.fillRect(x - size / 2, y - size / 2, size, size);
        }
      });
    }
    if (this.at) {
      const group = this.groups[this.at.group];
      pen.globalAlpha = 1;
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(xaxis._offset + xaxis.c2p(xaxis.d2c(group.x[this.at.n])), yaxis._offset + yaxis.c2p(yaxis.d2c(group.y[this.at.n])), 7, 0, 7);
      pen.stroke();
    }
  }

  tell(point) {
    const group = this.groups[point.curveNumber >> 1];
    const { x, y } = this.object;
    this.said.textContent = `${nameOf(group, point.pointNumber)} ${group.name}: ${x.title} ${shown(group.x[point.pointNumber])}, ${y.title} ${shown(group.y[point.pointNumber])}`;
  }

  go(point) {
    if (!point) return;
    const group = this.groups[point.curveNumber >> 1];
    const n = point.pointNumber;
    location.href = `/${encodeURIComponent(this.object.pair)}/${group.layer[n]}/${group.neuron[n]}${this.object.query}`;
  }

  // Arrows go from point to point: left and right in the order of x, up and down in that of y.
  key(event) {
    const by = { ArrowRight: ["x", 1], ArrowLeft: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1], Home: ["x", -Infinity], End: ["x", Infinity] }[event.key];
    if (event.key === "Enter" && this.at) { this.go({ curveNumber: 2 * this.at.group, pointNumber: this.at.n }); return; }
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.order ??= this.sorted();
    const order = this.order[by[0]];
    if (!order.length) return;
    const place = this.at ? this.order.place[by[0]].get(`${this.at.group}:${this.at.n}`) : by[1] > 0 ? -1 : order.length;
    const next = Math.min(Math.max(place + by[1] * (event.shiftKey ? Math.ceil(order.length / 50) : 1), 0), order.length - 1);
    this.at = order[next];
    this.paint();
    const point = { curveNumber: 2 * this.at.group, pointNumber: this.at.n };
    this.tell(point);
    try { this.Plotly.Fx.hover(this.target, [point]); } catch { /* outside of the zoomed part */ }
  }

  sorted() {
    const all = this.groups.flatMap((group, number) => group.x.map((_, n) => ({ group: number, n })));
    const found = { place: {} };
    for (const axis of ["x", "y"]) {
      const other = axis === "x" ? "y" : "x";
      const value = (one, name) => this.groups[one.group][name][one.n];
      found[axis] = [...all].sort((a, b) => value(a, axis) - value(b, axis) || value(a, other) - value(b, other));
      found.place[axis] = new Map(found[axis].map((one, n) => [`${one.group}:${one.n}`, n]));
    }
    return found;
  }
}

// The address of the form's state: the page's, and with another path its points'.
function addressOf(path) {
  const fields = new URLSearchParams(new FormData(form));
  return `${path}?${fields}`;
}

function begin() {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "explore";
  button.title = "Zoom, read off values, go to a neuron (loads Plotly, 1.5 MB)";
  summary.after(button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "loading…";
    try {
      const [Plotly, object] = await Promise.all([loadPlotly(self), loadPoints(self.dataset.source)]);
      const target = document.createElement("div");
      target.className = "scatter-plot";
      target.tabIndex = 0;
      target.setAttribute("role", "application");
      target.setAttribute("aria-label", "Scatter. Arrow keys go from point to point, with Shift further; Enter opens the neuron.");
      const said = document.createElement("p");
      said.className = "scatter-said small";
      said.setAttribute("role", "status");
      said.textContent = "A point is a link. By keyboard: ← → in the order of x, ↑ ↓ in that of y, with Shift further, Enter opens the neuron.";
      frame.replaceChildren(target, said);
      const scatter = new Scatter(Plotly, target, said);
      await scatter.draw(object);
      button.remove();
      target.focus({ preventScroll: true });
      redrawn(scatter);
    } catch (error) {
      button.disabled = false;
      button.textContent = "explore";
      summary.textContent = `The scatter could not be loaded: ${error.message}`;
    }
  });
}

// Once it is there, other axes need no other page; the address follows.
function redrawn(scatter) {
  const json = document.querySelector("[data-scatter-json]");
  async function change(event) {
    event.preventDefault();
    const data = addressOf(`${form.getAttribute("action").split("#")[0]}/scatter.json`);
    try {
      await scatter.draw(await loadPoints(data));
      summary.textContent = scatter.object.summary;
      json.href = data;
      history.replaceState(null, "", addressOf(location.pathname));
    } catch (error) {
      summary.textContent = error.message;
    }
  }
  form.addEventListener("submit", change);
  form.addEventListener("change", change);
}

if (frame) begin();
