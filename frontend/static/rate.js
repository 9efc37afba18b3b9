// A card by keyboard alone: 1, 2 and 3 choose a verdict, Tab goes on to the rule, Enter to the next
// card. `u` (back) and `p` (pause) are the page's own keys; here they work beside a verdict, too.
// What is written about a card stays on this machine until another card shows that the server has it.
// Without this the form is an ordinary one.

import { draftOf, dropDraft, keepDraft, keysAreOn } from "./sending.js";

const form = document.querySelector("form[data-rating]");

if (form) {
  const said = form.querySelector("[data-said]");
  const verdicts = [...form.querySelectorAll("[data-verdict-key]")];
  const chosen = () => verdicts.find((one) => one.checked);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target instanceof Element ? event.target : document.body;
    const besideVerdict = at.matches("[data-verdict-key]");
    if (at.closest("input, textarea, select, dialog") && !besideVerdict) return;
    if (event.key === "Enter") {
      if (at.closest("a, button, summary")) return;
      event.preventDefault();
      if (chosen()) form.requestSubmit();
      else say("Choose a verdict first: 1, 2 or 3.");
      return;
    }
    if (!keysAreOn()) return;
    const verdict = verdicts.find((one) => one.dataset.verdictKey === event.key);
    if (verdict) {
      event.preventDefault();
      verdict.checked = true;
      remember(false);
      verdict.focus({ preventScroll: true });
      say("");
    } else if (besideVerdict && (event.key === "u" || event.key === "p")) {
      event.preventDefault();
      document.querySelector(`[data-key="${event.key}"]`)?.click();
    }
  });

  // One answer a page: a second Enter while the first is on its way would be sent again.
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    remember(true);
  });
  addEventListener("pageshow", () => { delete form.dataset.sent; });

  const name = `${form.getAttribute("action")} ${form.dataset.rater}`;
  const card = form.elements.card.value;

  function written() {
    const { verdict = "", rule = "", confidence = "" } = Object.fromEntries(new FormData(form));
    return { verdict, rule, confidence };
  }

  function remember(sent) {
    keepDraft(name, { card, fields: written(), sent });
  }

  for (const kind of ["input", "change"]) form.addEventListener(kind, () => remember(false));

  const draft = draftOf(name);
  if (draft?.card === card) {
    const { verdict, rule, confidence } = draft.fields;
    if (JSON.stringify(draft.fields) !== JSON.stringify(written())) {
      for (const one of verdicts) one.checked = one.value === verdict;
      form.elements.rule.value = rule;
      form.elements.confidence.value = confidence;
      remember(false);
      say(draft.sent ? "Your answer did not arrive. It is here; Enter sends it." : "What you wrote before is back.");
    }
  } else if (draft?.sent) {
    dropDraft(name); // another card is shown, so it has arrived
  }

  function say(words) {
    said.textContent = words;
  }
}
