// The figures of a study's results as Plotly draws them, when a reader asks: shares with their
// intervals, of neurons and of all answers; seconds a card by condition and rater. And the methods
// paragraph into the clipboard.

import { loadPlotly } from "./plotly.js";

const self = document.querySelector("script[data-plotly][data-results]");

function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

async function load(address) {
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the server said ${answer.status}`);
  return answer.text();
}

function layout(yaxis, xaxis = {}) {
  const line = colour("--line"), dim = colour("--dim");
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
    margin: { l: 64, r: 10, t: 40, b: 44 }, hovermode: "closest", boxmode: "group",
    legend: { orientation: "h", y: -0.12, yanchor: "top" },
    xaxis: { gridcolor: line, linecolor: dim, ...xaxis },
    yaxis: { gridcolor: line, zerolinecolor: line, linecolor: dim, ...yaxis },
    hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--ink") } },
  };
}

// An arm's share with its interval as distances from it; null where it is not known.
function bars(arms, share, interval) {
  return {
    y: arms.map((arm) => arm[share]),
    error_y: {
      type: "data", symmetric: false,
      array: arms.map((arm) => (arm[interval] ? arm[interval][1] - arm[share] : 0)),
      arrayminus: arms.map((arm) => (arm[interval] ? arm[share] - arm[interval][0] : 0)),
    },
  };
}

function shares(page) {
  const x = page.conditions.map((one) => one.title);
  const traces = page.sides.flatMap(({ side, name }) => {
    const arms = page.main.arms.filter((arm) => arm.side === side);
    const other = page.excluded.arms.filter((arm) => arm.side === side);
    const ink = colour(`--${side}-mark`);
    const base = { type: "scatter", mode: "lines+markers", x, line: { color: ink, dash: side === "right" ? "dash" : "solid" },
      marker: { color: ink, size: 9, symbol: side === "right" ? "circle-open" : "circle" } };
    return [
      { ...base, ...bars(arms, "share", "interval"), name, customdata: arms.map((arm) => [arm.monosemantic, arm.neurons]),
        hovertemplate: `${name}, %{x}<br>%{y:.1%}: %{customdata[0]} of %{customdata[1]} neurons<extra></extra>` },
      { ...base, ...bars(other, "share", "interval"), name: `${name}, without “unclear”`, visible: "legendonly",
        hovertemplate: `${name}, without “unclear”, %{x}<br>%{y:.1%}<extra></extra>` },
      { ...base, ...bars(arms, "answers_share", "answers_interval"), name: `${name}, all answers`, visible: "legendonly",
        hovertemplate: `${name}, all answers, %{x}<br>%{y:.1%}<extra></extra>` },
    ];
  });
  return [traces, layout({ title: { text: "called monosemantic" }, range: [0, 1.02], tickformat: ".0%" })];
}

function seconds(page, ratings) {
  const titles = Object.fromEntries(page.conditions.map((one) => [one.condition, one.title]));
  const inks = ["--ink", "--dim", "--strong-line"].map((name) => colour(name));
  const traces = page.raters.map(({ rater }, number) => {
    const own = ratings.filter((one) => one.rater === rater);
    return { type: "box", name: rater, x: own.map((one) => titles[one.condition]), y: own.map((one) => one.seconds),
      boxpoints: "outliers", marker: { color: inks[number % inks.length], size: 3 }, line: { width: 1.5 } };
  });
  return [traces, layout({ title: { text: "seconds a card" }, rangemode: "tozero" }, { categoryarray: Object.values(titles) })];
}

function offer(frame, title, make) {
  const said = document.querySelector(`[data-plot-said="${frame.dataset.plot}"]`);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "explore";
  button.title = `${title} (loads Plotly, 1.5 MB)`;
  said.after(button);
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "loading…";
    try {
      const [Plotly, [traces, form]] = await Promise.all([loadPlotly(self), make()]);
      const target = document.createElement("div");
      target.className = "results-plot";
      frame.prepend(target);
      frame.querySelector(":scope > svg")?.remove();
      await Plotly.newPlot(target, traces, form, { responsive: true, displaylogo: false });
      said.textContent = "";
      button.remove();
    } catch (error) {
      button.disabled = false;
      button.textContent = "explore";
      said.textContent = `The figure could not be loaded: ${error.message}`;
    }
  });
}

const results = () => load(self.dataset.results).then(JSON.parse);
for (const frame of document.querySelectorAll("[data-plot]")) {
  if (frame.dataset.plot === "shares") {
    offer(frame, "Read off values; shares without “unclear”, and of all answers", async () => shares(await results()));
  } else {
    offer(frame, "Every rater's times, by condition", async () => {
      const [page, lines] = await Promise.all([results(), load(frame.dataset.ratings)]);
      return seconds(page, lines.split("\n").filter(Boolean).map((line) => JSON.parse(line)));
    });
  }
}

for (const button of document.querySelectorAll("[data-copy-text]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copyText).textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "not copied: the browser refused";
    }
  });
}
