// The queue by keyboard, without leaving the page: the next version is asked for while this one is
// read. What is typed stays on this machine until the server has said that it keeps it.

import { draftOf, dropDraft, fieldsOf, fill, keepDraft, keysAreOn, learnToken, loginLink, send } from "./sending.js";

const RETRY_MS = 4000;
let coming = null;
let busy = false;
let retrying = 0;

const card = () => document.querySelector("[data-queue]");
const form = () => document.querySelector("[data-label]");
const draftName = () => `${form().getAttribute("action")} ${form().elements.side.value}`;

function say(text, link) {
  const said = form()?.querySelector(".said");
  if (!said) return;
  said.classList.toggle("warn", Boolean(text));
  said.replaceChildren(text, ...(link ? [" ", link] : []));
}

async function load(address) {
  const at = new URL(address, location.href);
  at.searchParams.set("fragment", "1");
  const answer = await fetch(at, { cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.querySelector("[data-queue]")) throw new Error("something else");
  return page;
}

function prefetch() {
  coming = form() ? load(card().dataset.next).catch(() => null) : null;
}

// Shows a version that was loaded, in place of the one that is here.
function show(page, note) {
  learnToken(page);
  const next = document.adoptNode(page.querySelector("[data-queue]"));
  card().replaceWith(next);
  document.title = next.querySelector("h1").textContent.trim() + " · Twinscope";
  scrollTo(0, 0);
  next.querySelector("h1").focus({ preventScroll: true });
  begin();
  say("");
  const said = form()?.querySelector(".said");
  if (said) said.textContent = note;
  document.dispatchEvent(new CustomEvent("twinscope:shown"));
}

// What comes next was asked for before this one was kept, so its counts are those from then.
async function goOn(note, kept) {
  const page = (await coming) ?? (await load(queueAddress()));
  show(page, note);
  load(card().dataset.here).then((fresh) => {
    if (!fresh || !kept) return;
    for (const part of ["[data-progress]", ".queue-head progress"]) {
      const [old, now] = [card().querySelector(part), fresh.querySelector(part)];
      if (old && now) old.replaceWith(now);
    }
    const undo = fresh.querySelector("[data-undo]");
    const at = card().querySelector("[data-undo]");
    if (undo && at) at.replaceWith(undo);
    else if (undo) card().querySelector(".queue-head").after(undo);
  }).catch(() => {});
}

function queueAddress() {
  const at = new URL(card().dataset.here, location.href);
  at.searchParams.delete("at");
  return at.href;
}

async function keep() {
  if (busy || !form() || !form().reportValidity()) return;
  busy = true;
  clearTimeout(retrying);
  const name = draftName();
  const fields = fieldsOf(form());
  const annotator = card().dataset.annotator;
  keepDraft(name, { fields, sent: true, annotator });
  say("");
  const sent = await send(form().getAttribute("action"), fields);
  busy = false;
  if (sent.status === 201) {
    dropDraft(name);
    try {
      await goOn(`Kept: ${fields.verdict}.`, true);
    } catch {
      say("It is kept. The next one cannot be had just now.");
      retrying = setTimeout(() => location.assign(queueAddress()), RETRY_MS);
    }
    return;
  }
  if (sent.status === 401) {
    say("Your login is over. What you wrote stays here and is sent when you are back.", loginLink());
  } else if (sent.status === 0 || sent.status >= 500) {
    say(`${sent.error} What you wrote stays here and is sent as soon as it does.`);
    retrying = setTimeout(keep, RETRY_MS);
  } else {
    keepDraft(name, { fields, sent: false, annotator });
    say(sent.error);
  }
}

async function skip() {
  if (busy) return;
  busy = true;
  const fields = Object.fromEntries(new FormData(document.querySelector("[data-skip]")));
  delete fields.csrf;
  delete fields.back;
  fields.layer = Number(fields.layer);
  fields.neuron = Number(fields.neuron);
  const sent = await send("/labels/skip", fields);
  busy = false;
  if (sent.status !== 204) {
    say(sent.error, sent.status === 401 ? loginLink() : null);
    return;
  }
  dropDraft(draftName());
  await goOn("Skipped.", true).catch(() => location.assign(queueAddress()));
}

async function undo(at) {
  if (busy) return;
  busy = true;
  const sent = await send(at.getAttribute("action"), {});
  busy = false;
  if (sent.status !== 200) {
    say(sent.error, sent.status === 401 ? loginLink() : null);
    return;
  }
  try {
    show(await load(at.elements.back.value), "Taken back.");
  } catch {
    location.assign(at.elements.back.value);
  }
}

// Leaving a field is no change of it: what was sent stays sent.
function remember() {
  const fields = fieldsOf(form());
  if (JSON.stringify(draftOf(draftName())?.fields) === JSON.stringify(fields)) return;
  if (fields.verdict || fields.description || fields.confidence) {
    keepDraft(draftName(), { fields, sent: false, annotator: card().dataset.annotator });
  } else dropDraft(draftName());
}

// A version has come: what was written about it before is put back, and sent if it had been.
function begin() {
  history.replaceState(null, "", card().dataset.here);
  prefetch();
  if (!form()) return;
  const draft = draftOf(draftName());
  if (!draft || draft.annotator !== card().dataset.annotator) return;
  fill(form(), draft.fields);
  if (draft.fields.key) form().elements.key.value = draft.fields.key;
  if (draft.sent) keep();
  else say("What you wrote before is back.");
}

document.addEventListener("input", (event) => { if (form()?.contains(event.target)) remember(); });
document.addEventListener("change", (event) => { if (form()?.contains(event.target)) remember(); });
document.addEventListener("submit", (event) => {
  if (event.target === form()) { event.preventDefault(); keep(); }
  else if (event.target.matches("[data-skip]")) { event.preventDefault(); skip(); }
  else if (event.target.matches("[data-undo]")) { event.preventDefault(); undo(event.target); }
});
addEventListener("online", () => { if (form() && draftOf(draftName())?.sent) keep(); });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !form()) return;
  const at = event.target instanceof Element ? event.target : document.body;
  if (at.closest("dialog")) return;
  if (at.matches("textarea[name=description]")) {
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); keep(); }
    else if (event.key === "Escape") at.blur();
    return;
  }
  if (at.closest("textarea, select, input:not([type=radio]), [contenteditable]")) return;
  if (event.key === "Enter" && !at.closest("a, button, summary")) { event.preventDefault(); keep(); return; }
  if (!keysAreOn()) return;
  const confident = at.matches("input[name=confidence]");
  if (/^[1-5]$/.test(event.key) && confident) {
    event.preventDefault();
    const chosen = form().querySelector(`input[name=confidence][value="${event.key}"]`);
    chosen.checked = true;
    chosen.focus();
    remember();
  } else if (/^[1-4]$/.test(event.key) && !at.closest(".tokens")) {
    event.preventDefault();
    form().querySelectorAll("input[name=verdict]")[Number(event.key) - 1].checked = true;
    remember();
    form().elements.description.focus({ preventScroll: true });
  } else if (event.key === "c") {
    event.preventDefault();
    (form().querySelector("input[name=confidence]:checked") ?? form().querySelector("input[name=confidence]")).focus();
  } else if (event.key === "s" && !at.closest(".tokens")) {
    event.preventDefault();
    event.stopImmediatePropagation();
    skip();
  } else if (event.key === "u") {
    const last = document.querySelector("[data-undo]");
    event.preventDefault();
    event.stopImmediatePropagation();
    if (last) undo(last);
  }
}, { capture: true });

begin();
