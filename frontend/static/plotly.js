// Plotly's script, loaded once, when a reader asks for it: it is large.
//
// It brings a style sheet for maps as an inline element, which our policy refuses with an error in
// the console. It adds none where an element of that id is there already, so one is put there.

let plotly;
export function loadPlotly(script) {
  plotly ??= new Promise((resolve, reject) => {
    for (const id of script.dataset.plotlyStyles.split(" ").filter(Boolean)) {
      const placeholder = document.createElement("meta");
      placeholder.id = id;
      document.head.append(placeholder);
    }
    const element = document.createElement("script");
    element.src = script.dataset.plotly;
    element.onload = () => resolve(window.Plotly);
    element.onerror = () => {
      plotly = undefined;
      reject(new Error("Plotly could not be loaded"));
    };
    document.head.append(element);
  });
  return plotly;
}
