// Counts and history of labels, loaded apart from the page; forms sent without leaving it.

import { draftOf, dropDraft, fieldsOf, fill, keepDraft, keysAreOn, learnToken, loginLink, newKey, send } from "./sending.js";

const RETRY_MS = 4000;
let annotator = "";
let undone = null;

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
  const page = await load(address);
  learnToken(page);
  annotator = page.querySelector("[data-annotator]")?.dataset.annotator ?? "";
  const part = page.querySelector(`[data-side="${side}"]`);
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
  if (!keysAreOn()) return;
  const number = Number(event.key) - 1;
  const here = Math.max(forms.findIndex((form) => form.contains(at)), 0);
  const verdict = (form) => form.querySelectorAll("input[name=verdict]")[number];
  const again = at === verdict(forms[here]) && at.checked;
  const chosen = verdict(forms[again ? (here + 1) % forms.length : here]);
  event.preventDefault();
  chosen.checked = true;
  chosen.dispatchEvent(new Event("input", { bubbles: true })); // a draft, as by a click
  chosen.focus({ preventScroll: true });
  chosen.closest("form").scrollIntoView({ block: "nearest" });
});

// What was written stays on this machine until the server has said that it keeps it, under its
// writer's name: nobody sends, sees or writes over another's.
const draftName = (form) => `${form.getAttribute("action")} ${form.elements.side.value} ${annotator}`;

function say(form, text, ...more) {
  const said = form.querySelector(".said");
  said.classList.toggle("warn", Boolean(text));
  said.replaceChildren(text, ...more);
}

async function keep(form, kept) {
  const name = draftName(form);
  const fields = kept?.fields ?? { ...fieldsOf(form), key: newKey() };
  keepDraft(name, { fields, sent: true });
  say(form, "");
  const sent = await send(form.action, fields);
  const said = form.querySelector(".said");
  if (sent.status === 201) {
    dropDraft(name);
    said.textContent = `Kept: ${fields.verdict}.`;
    const id = sent.body.label.id;
    const undo = document.createElement("button");
    undo.type = "button";
    undo.dataset.undo = "";
    undo.title = "Take this label back (key u)";
    undo.textContent = "Undo";
    undo.addEventListener("click", () => takeBack(form, id));
    form.querySelector("[data-undo]")?.remove();
    said.after(undo);
    undone = undo;
    refresh(form).catch(() => {});
  } else if (sent.status === 401) {
    say(form, "You are not logged in. What you wrote stays here and is sent when you are back.", " ", loginLink());
  } else if (sent.status === 0 || sent.status >= 500) {
    say(form, sent.status === 0 ? "The server does not answer; nothing was kept. What you wrote stays here and is sent as soon as it does." : `${sent.error} What you wrote stays here.`);
    setTimeout(() => { const now = draftOf(name); if (now?.sent) keep(form, now); }, RETRY_MS);
  } else {
    keepDraft(name, { fields, sent: false });
    say(form, sent.error);
  }
}

async function takeBack(form, id) {
  const sent = await send(`/labels/${id}/withdraw`, {});
  if (sent.status !== 200) {
    say(form, sent.error, " ", sent.status === 401 ? loginLink() : "");
    return;
  }
  form.querySelector("[data-undo]")?.remove();
  undone = null;
  form.querySelector(".said").textContent = "Taken back; it stays in the history.";
  refresh(form).catch(() => {});
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "u" || event.ctrlKey || event.metaKey || event.altKey || !undone || !keysAreOn()) return;
  const at = event.target instanceof Element ? event.target : document.body;
  if (at.closest("input:not([type=radio]), textarea, select, [contenteditable], dialog, .js-plotly-plot")) return;
  event.preventDefault();
  undone.click();
});

function draft(form) {
  const fields = fieldsOf(form);
  if (fields.verdict || fields.description || fields.confidence) {
    keepDraft(draftName(form), { fields: { ...fields, key: newKey() }, sent: false });
  } else dropDraft(draftName(form));
}

for (const form of forms) {
  const unnamed = draftName(form); // before it is known who writes
  let touched = false;
  const restore = () => {
    const own = draftOf(draftName(form));
    const kept = own ?? draftOf(unnamed);
    if (kept && !touched) {
      fill(form, kept.fields);
      say(form, "What you wrote before is back.");
    }
    if (annotator) dropDraft(unnamed);
    if (own?.sent) keep(form, own).then(() => { if (touched && !draftOf(draftName(form))) draft(form); });
    else if (kept) draft(form);
  };
  const begin = () => refresh(form).then(restore, () => { setTimeout(begin, RETRY_MS); });
  const ready = begin();
  form.addEventListener("input", () => {
    touched = true;
    draft(form);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ready.then(() => keep(form));
  });
}
addEventListener("online", () => {
  for (const form of forms) {
    const kept = draftOf(draftName(form));
    if (kept?.sent) keep(form, kept);
  }
});
