// The values of a neuron page's examples and counterexamples: most of what the page would weigh, and
// of use in a popover alone (tokens.js). They are fetched once a pointer or the focus comes to them.

const PLACES = [".band", "#counterexamples"];
const source = document.querySelector("[data-values]").dataset.values;
const SOON_MS = 300;
let asked = null;

function say(said) {
  for (const line of document.querySelectorAll(PLACES.map((place) => `${place} .tokens`).join(", "))) {
    if (said && !line.hasAttribute("data-post")) line.dataset.said = said; else delete line.dataset.said;
  }
  document.dispatchEvent(new Event("twinscope:values"));
}

async function ask() {
  const late = setTimeout(say, SOON_MS, "reading its values …");
  try {
    const answer = await fetch(source);
    if (!answer.ok) throw new Error(String(answer.status));
    for (const [id, rows] of Object.entries(await answer.json())) {
      const line = document.getElementById(id)?.querySelector(".tokens");
      for (const [name, row] of Object.entries(rows)) line?.setAttribute(`data-${name}`, row);
    }
    clearTimeout(late);
    say("");
  } catch {
    clearTimeout(late);
    asked = null; // the next token asks again
    say("Its values could not be read: does the server answer?");
  }
}

document.addEventListener("twinscope:shown", () => { asked = null; }); // more examples: theirs, too

for (const place of document.querySelectorAll(PLACES.join(", "))) {
  for (const kind of ["pointerover", "focusin", "values-wanted"]) place.addEventListener(kind, () => { asked ??= ask(); });
}
