// Plotly's script is large, so it is loaded only when a reader asks to explore a histogram.

const self = document.querySelector("script[data-plotly]");
let plotly;

function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = self.dataset.plotly;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("Plotly could not be loaded"));
    document.head.append(script);
  });
  return plotly;
}

let page;
function loadPage() {
  page ??= fetch(self.dataset.json).then((answer) => {
    if (!answer.ok) throw new Error(`the server said ${answer.status}`);
    return answer.json();
  });
  return page;
}

// Signed power scale of the horizontal axis: Plotly has no symmetric log, so values are placed by
// asinh and ticks are named by what they stand for.
const THRESHOLD = 0.02;
const place = (value) => Math.asinh(value / THRESHOLD);
const TICKS = [-100, -10, -1, -0.1, 0, 0.1, 1, 10, 100];

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

function traces(version, colour) {
  const dashes = { pre: "dash", mid: "dashdot", post: "dot" };
  return Object.entries(version.sites).map(([site, statistics]) => {
    const { edges, counts } = statistics.histogram;
    const x = [];
    const y = [];
    const said = [];
    for (let bin = 1; bin < counts.length - 1; bin += 1) {
      if (!counts[bin]) continue;
      x.push(place((edges[bin - 1] + edges[bin]) / 2));
      y.push(counts[bin]);
      said.push(`${edges[bin - 1].toPrecision(3)} … ${edges[bin].toPrecision(3)}`);
    }
    return {
      type: "scatter", mode: "lines+markers", name: `${site} (${statistics.hook_point})`, x, y, text: said,
      hovertemplate: `${site} %{text}<br>%{y:,} tokens<extra></extra>`,
      line: { shape: "hvh", width: 1.5, color: site === version.display_site ? colour.mark : colour.dim, dash: site === version.display_site ? "solid" : dashes[site] },
      marker: { size: 3 },
    };
  });
}

async function explore(frame, button) {
  button.disabled = true;
  button.textContent = "loading…";
  try {
    const [Plotly, object] = await Promise.all([loadPlotly(), loadPage()]);
    const side = frame.dataset.figure;
    const version = object.versions[side];
    const colour = colours(side);
    const target = document.createElement("div");
    target.className = "plotly-frame";
    frame.replaceChildren(target);
    const axis = { gridcolor: colour.line, zerolinecolor: colour.line, linecolor: colour.dim };
    await Plotly.newPlot(target, traces(version, colour), {
      paper_bgcolor: colour.paper, plot_bgcolor: colour.paper, font: { family: colour.font, size: 12, color: colour.ink },
      margin: { l: 60, r: 10, t: 10, b: 45 }, legend: { orientation: "h", y: 1.12 }, height: 420, hovermode: "closest",
      xaxis: { ...axis, title: { text: "activation (symmetric log)" }, tickvals: TICKS.map(place), ticktext: TICKS.map((tick) => String(tick).replace("-", "−")) },
      yaxis: { ...axis, type: "log", title: { text: "tokens in a bin" } },
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
  frame.append(button);
}
