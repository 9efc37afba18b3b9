// A card by keyboard alone: 1, 2 and 3 choose a verdict, Tab goes on to the rule, Enter to the next
// card. `u` (back) and `p` (pause) are the page's own keys; here they work beside a verdict, too.
// Without this the form is an ordinary one.

const form = document.querySelector("form[data-rating]");

function keysAreOff() {
  try { return localStorage.getItem("twinscope-keys") === "off"; } catch { return false; }
}

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
    if (keysAreOff()) return;
    const verdict = verdicts.find((one) => one.dataset.verdictKey === event.key);
    if (verdict) {
      event.preventDefault();
      verdict.checked = true;
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
  });
  addEventListener("pageshow", () => { delete form.dataset.sent; });

  function say(words) {
    said.textContent = words;
  }
}
