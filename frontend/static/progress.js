// Keeps the progress of precomputes up to date in place; when one ends, offers the new page.

const source = document.querySelector("script[data-source]").dataset.source;
const PAUSE = 2000;

function count(number) {
  return number.toLocaleString("en-US");
}
function duration(seconds) {
  const left = Math.round(seconds);
  if (left < 60) return `${left} s`;
  const minutes = Math.floor(left / 60);
  if (minutes < 60) return `${minutes} min ${String(left % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

function draw(block, progress) {
  const part = (name) => block.querySelector(`[data-part="${name}"]`);
  const step = progress.step || progress.stage;
  part("step").textContent = progress.state === "running" ? step : `${progress.state} at: ${step}`;
  const bar = part("bar");
  if (progress.share === null) bar.removeAttribute("value"); else bar.value = progress.share;
  bar.setAttribute("aria-label", step);
  const of = progress.total === null ? "" : ` of ${count(progress.total)}`;
  const share = progress.share === null ? "" : ` (${(100 * progress.share).toFixed(1)} %)`;
  part("done").textContent = `${count(progress.done)}${of} ${progress.unit}${share}`;
  part("rate").textContent = progress.rate ? `${count(Number(progress.rate.toPrecision(3)))} ${progress.unit} a second` : "";
  part("left").textContent = progress.state === "running" && progress.seconds_left !== null ? `${duration(progress.seconds_left)} left in this step` : "";
  part("stalled").textContent = progress.stalled ? "Nothing heard for two minutes: the process may have ended." : "";
  part("message").textContent = progress.message ?? "";
}

function finish(block) {
  const link = document.createElement("a");
  link.href = location.href;
  link.className = "button";
  link.textContent = "Published: show it";
  const line = block.querySelector('[data-part="message"]');
  line.replaceChildren(link);
  block.querySelector('[data-part="bar"]').value = 1;
  block.querySelector('[data-part="step"]').textContent = "done";
  block.querySelector('[data-part="left"]').textContent = "";
  block.dataset.state = "done";
}

async function poll() {
  let open = 0;
  try {
    const answer = await fetch(source, { cache: "no-store" });
    const page = await answer.json();
    const found = [page.progress].flat().filter(Boolean);
    for (const block of document.querySelectorAll("[data-progress]")) {
      if (block.dataset.state === "done") continue;
      const progress = found.find((one) => one.href === block.dataset.progress);
      if (progress && progress.state !== "done") draw(block, progress); else finish(block);
      open += progress && progress.state === "running" ? 1 : 0;
    }
  } catch {
    open = 1; // the server may be restarting: ask again
  }
  if (open) setTimeout(poll, document.hidden ? 5 * PAUSE : PAUSE);
}
setTimeout(poll, PAUSE);
