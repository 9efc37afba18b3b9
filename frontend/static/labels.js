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

for (const form of document.querySelectorAll("form[data-labels]")) {
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
