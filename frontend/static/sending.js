// What labels are sent with: the session's token, one key a label so that none is kept twice, and
// a draft on this machine until the server has said that it keeps it.

const PREFIX = "twinscope-draft ";
const DAYS = 30;

let token = document.querySelector("meta[name=csrf-token]")?.content ?? "";

// A page from a cache has no token, and one from before another login an old one.
export function learnToken(from) {
  const found = from.querySelector("meta[name=csrf-token]")?.content;
  if (found) token = found;
}

async function freshToken() {
  try {
    const answer = await fetch("/account.json", { cache: "no-store", headers: { Accept: "application/json" } });
    if (answer.ok) token = (await answer.json()).csrf_token;
  } catch { /* the request itself will say that nobody answers */ }
}

function headers() {
  const all = { "Content-Type": "application/json", Accept: "application/json" };
  if (token) all["X-CSRF-Token"] = token;
  return all;
}

// Sends JSON; {status, body, error}: status 0 when nobody answers, error the words of the fault.
export async function send(address, fields) {
  document.dispatchEvent(new Event("twinscope:wait"));
  try {
    return await sent(address, fields);
  } finally {
    document.dispatchEvent(new Event("twinscope:done"));
  }
}

async function sent(address, fields) {
  for (const again of [false, true]) {
    let answer;
    try {
      answer = await fetch(address, { method: "POST", headers: headers(), body: JSON.stringify(fields) });
    } catch {
      return { status: 0, body: null, error: "The server does not answer." };
    }
    let body = null;
    try { body = answer.status === 204 ? null : await answer.json(); } catch { /* no JSON: no words */ }
    if (answer.status === 403 && body?.error?.code === "csrf_missing" && !again) {
      await freshToken();
      continue;
    }
    const fault = body?.error;
    const words = fault ? (fault.hint && !fault.hint.startsWith("/") ? `${fault.message} ${fault.hint}` : fault.message) : "";
    return { status: answer.status, body, error: answer.ok ? "" : words || `The server says ${answer.status}.` };
  }
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

// A draft: {fields, sent, annotator, at}. `sent` says that its writer pressed Enter.
export function keepDraft(name, draft) {
  try { localStorage.setItem(PREFIX + name, JSON.stringify({ ...draft, at: Date.now() })); } catch { /* storage is off or full: the page alone holds it */ }
}
export function dropDraft(name) {
  try { localStorage.removeItem(PREFIX + name); } catch { /* storage is off */ }
}
export function draftOf(name) {
  try {
    const draft = JSON.parse(localStorage.getItem(PREFIX + name) ?? "null");
    if (draft && Date.now() - draft.at < DAYS * 86_400_000) return draft;
    localStorage.removeItem(PREFIX + name);
  } catch { /* storage is off, or holds something else */ }
  return null;
}

export function loginLink() {
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = "Log in again";
  return link;
}

export function keysAreOn() {
  try { return localStorage.getItem("twinscope-keys") !== "off"; } catch { return true; }
}

export function fieldsOf(form) {
  const fields = Object.fromEntries(new FormData(form));
  delete fields.back;
  delete fields.csrf;
  fields.confidence = fields.confidence ? Number(fields.confidence) : null;
  return fields;
}

// Puts a draft's fields back into its form.
export function fill(form, fields) {
  for (const radio of form.querySelectorAll("input[type=radio]")) {
    radio.checked = String(fields[radio.name] ?? "") === radio.value;
  }
  const description = form.elements.description;
  if (description) description.value = fields.description ?? "";
  const confidence = form.querySelector("select[name=confidence]");
  if (confidence) confidence.value = fields.confidence ? String(fields.confidence) : "";
}
