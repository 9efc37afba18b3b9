// Counts and history of labels, loaded apart from the page; forms sent without leaving it. When
// anything fails the form goes the plain way.

async function load(address) {
  const fragment = new URL(address, location.href);
  fragment.searchParams.set("fragment", "1");
  const answer = await fetch(fragment, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function refresh(form) {
  const address = form.dataset.labels;
  const side = form.elements.side.value;
  const part = (await load(address)).querySelector(`[data-side="${side}"]`);
  const summary = part?.querySelector("[data-summary]");
  if (!summary) return;
  const counts = document.querySelector(`.${side} [data-counts]`);
  const link = document.createElement("a");
  link.href = `#label-${side}`;
  link.textContent = summary.textContent.replace(/\s+/g, " ").trim();
  counts?.replaceChildren(link);
  form.parentElement.querySelector(".label-history")?.remove();
  const history = part.querySelector(".label-history");
  if (history) form.after(history);
}

// Keys 1 to 4 choose a verdict: in the form where the reader is, else in the first; the key of the
// verdict that is chosen there goes on to the other version. Enter keeps it, as in any form.
const forms = [...document.querySelectorAll("form[data-labels]")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^[1-4]$/.test(event.key)) return;
  const at = event.target instanceof Element ? event.target : document.body;
  const typing = at.closest("input, textarea, select, [contenteditable], dialog, .tokens, .js-plotly-plot");
  if (typing && !typing.matches("form[data-labels] input[type=radio]")) return;
  try { if (localStorage.getItem("twinscope-keys") === "off") return; } catch { /* keys are on */ }
  const number = Number(event.key) - 1;
  const here = Math.max(forms.findIndex((form) => form.contains(at)), 0);
  const verdict = (form) => form.querySelectorAll("input[name=verdict]")[number];
  const again = at === verdict(forms[here]) && at.checked;
  const chosen = verdict(forms[again ? (here + 1) % forms.length : here]);
  event.preventDefault();
  chosen.checked = true;
  chosen.focus({ preventScroll: true });
  chosen.closest("form").scrollIntoView({ block: "nearest" });
});

for (const form of forms) {
  refresh(form).catch(() => {});
  const said = form.querySelector(".said");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    delete fields.back;
    fields.confidence = fields.confidence ? Number(fields.confidence) : null;
    said.classList.remove("warn");
    let answer;
    try {
      answer = await fetch(form.action, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(fields),
      });
    } catch {
      said.classList.add("warn");
      said.textContent = "The server does not answer; nothing was kept.";
      return;
    }
    if (answer.ok) {
      said.textContent = `Kept: ${fields.verdict}.`;
      refresh(form).catch(() => {});
      return;
    }
    said.classList.add("warn");
    try {
      const { error } = await answer.json();
      said.textContent = error.hint ? `${error.message} ${error.hint}` : error.message;
    } catch {
      form.submit();
    }
  });
}
