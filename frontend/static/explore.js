// Plotly's script is large, so it is loaded only when a reader asks to explore a histogram.

import { loadPlotly } from "./plotly.js";

const self = document.querySelector("script[data-plotly]");
let page;
function loadPage() {
  page ??= fetch(self.dataset.json).then((answer) => {
    if (!answer.ok) throw new Error(`the server said ${answer.status}`);
    return answer.json();
  });
  return page;
}

// The horizontal axis is the server's (server/figures/axes.py): Plotly has no symmetric log, so a
// value is placed by hand, linear in eight cells up to the threshold, then eight to a power of two.
const FEWEST_POWERS = 6;
const MOST_POWERS = 13;
const CELLS = 8;
const TICKS = [0, 1, -1, 10, -10, 100, -100, 0.1, -0.1, 0.01, -0.01, 0.001, -0.001];

function axisOf(versions) {
  let largest = 2 ** -12;
  for (const version of versions) {
    for (const site of Object.values(version.sites)) largest = Math.max(largest, Math.abs(site.min ?? 0), Math.abs(site.max ?? 0));
  }
  const exponent = Math.ceil(Math.log2(largest));
  const spreads = versions.map((version) => version.sites[version.display_site].std).filter(Boolean);
  const wanted = spreads.length ? Math.floor(Math.log2(Math.min(...spreads))) : exponent - FEWEST_POWERS;
  const threshold = 2 ** Math.max(Math.min(Math.max(wanted, exponent - MOST_POWERS), exponent - FEWEST_POWERS), -13);
  const place = (value) => {
    const size = Math.abs(value) / threshold;
    const octave = size < 1 ? 0 : Math.floor(Math.log2(size));
    const cells = size < 1 ? CELLS * size : CELLS + CELLS * octave + CELLS * (size / 2 ** octave - 1);
    return Math.sign(value) * cells;
  };
  const ticks = [];
  for (const tick of TICKS) {
    if (Math.abs(tick) > 1.1 * largest || ticks.some((other) => Math.abs(place(other) - place(tick)) < CELLS)) continue;
    ticks.push(tick);
  }
  return { place, ticks };
}

function colours(side) {
  const style = getComputedStyle(document.querySelector(`.cell.${side}`));
  const of = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.querySelector(`.cell.${side}`).append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  return { mark: of("--side-mark"), ink: of("--ink"), dim: of("--dim"), line: of("--line"), paper: of("--paper"), font: style.fontFamily };
}

function traces(version, place, colour) {
  return Object.entries(version.sites).map(([site, statistics]) => {
    const { edges, counts } = statistics.histogram;
    const cells = new Map();
    for (let bin = 0; bin < counts.length; bin += 1) {
      const low = edges[Math.max(bin - 1, 0)];
      const high = edges[Math.min(bin, edges.length - 1)];
      const middle = place((low + high) / 2);
      const cell = Math.abs(middle) < 1 ? 0 : Math.trunc(middle) + Math.sign(middle) / 2;
      const known = cells.get(cell) ?? { count: 0, low, high };
      cells.set(cell, { count: known.count + counts[bin], low: known.low, high });
    }
    const filled = [...cells].filter(([, cell]) => cell.count > 0);
    const display = site === version.display_site;
    return {
      type: "bar", name: `${site} (${statistics.hook_point})`,
      x: filled.map(([cell]) => cell), y: filled.map(([, cell]) => cell.count), width: filled.map(([cell]) => (cell === 0 ? 2 : 1)),
      text: filled.map(([, cell]) => `${cell.low.toPrecision(3)} … ${cell.high.toPrecision(3)}`),
      textposition: "none", hovertemplate: `${site} %{text}<br>%{y:,} tokens<extra></extra>`,
      marker: { color: display ? colour.mark : "rgba(0,0,0,0)", opacity: display ? 0.45 : 1, line: { width: 1, color: display ? colour.mark : site === "pre" ? colour.dim : colour.ink } },
      visible: display ? true : "legendonly",
    };
  });
}

async function explore(frame, button) {
  button.disabled = true;
  button.textContent = "loading…";
  try {
    const [Plotly, object] = await Promise.all([loadPlotly(self), loadPage()]);
    const side = frame.dataset.figure;
    const version = object.versions[side];
    const colour = colours(side);
    const { place, ticks } = axisOf([object.versions.left, object.versions.right].filter(Boolean));
    const target = document.createElement("div");
    target.className = "plotly-frame";
    frame.replaceChildren(target);
    button.remove();
    const axis = { gridcolor: colour.line, zerolinecolor: colour.line, linecolor: colour.dim };
    await Plotly.newPlot(target, traces(version, place, colour), {
      paper_bgcolor: colour.paper, plot_bgcolor: colour.paper, font: { family: colour.font, size: 12, color: colour.ink },
      margin: { l: 60, r: 10, t: 62, b: 45 }, barmode: "overlay", bargap: 0, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, height: 420, hovermode: "closest",
      xaxis: { ...axis, title: { text: "activation (symmetric log)" }, tickvals: ticks.map(place), ticktext: ticks.map((tick) => String(tick).replace("-", "−")) },
      yaxis: { ...axis, type: "log", title: { text: "tokens (log)" }, dtick: 1 },
    }, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] });
  } catch (error) {
    button.disabled = false;
    button.textContent = "explore";
    button.title = error.message;
  }
}

for (const frame of document.querySelectorAll("[data-figure]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "explore";
  button.textContent = "explore";
  button.title = "Zoom and read off values (loads Plotly, 1.5 MB)";
  button.addEventListener("click", () => explore(frame, button));
  frame.previousElementSibling.append(button);
}
