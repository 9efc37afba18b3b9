// A text of one's own: a token is chosen by click, Enter or the list, without leaving the page, and
// what takes longer than a moment says so. Without this script the forms do the same.

const form = document.querySelector("#live");
const said = form.querySelector("[role=status]");
let waiting;
let asked = 0;

function busy(words, region) {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    said.textContent = words;
    region?.setAttribute("aria-busy", "true");
  }, 300);
}
function done(region) {
  clearTimeout(waiting);
  said.textContent = "";
  region?.removeAttribute("aria-busy");
}

form.addEventListener("submit", () => busy("Both versions are reading the text …", document.querySelector("#live-result")));
addEventListener("pageshow", () => done(document.querySelector("#live-result")));

// Only what depends on the token is replaced: the lists, the numbers at the token, the marks, links.
function take(page, token) {
  const lists = page.querySelector("#most-active");
  if (!lists) return false;
  const chosen = document.activeElement?.closest("[data-token-form] select");
  document.querySelector("#most-active").replaceWith(document.adoptNode(lists));
  if (chosen) document.querySelector("[data-token-form] select").focus({ preventScroll: true });
  const numbers = page.querySelectorAll("[data-at-token]");
  for (const [n, old] of document.querySelectorAll("[data-at-token]").entries()) old.replaceWith(document.adoptNode(numbers[n]));
  for (const line of document.querySelectorAll(".live-map .tokens")) {
    for (const marked of line.querySelectorAll(".f")) marked.classList.remove("f");
    line.children[token]?.classList.add("f");
  }
  for (const link of ["[data-copy]", "[data-json]"]) {
    const fresh = page.querySelector(`.pair-head ${link}`);
    if (fresh) document.querySelector(`.pair-head ${link}`).setAttribute("href", fresh.getAttribute("href"));
  }
  bind();
  return true;
}

async function choose(token) {
  const tokens = document.querySelector("[data-token-form]");
  const fields = new FormData(tokens);
  fields.set("token", token);
  const address = `${tokens.action}?${new URLSearchParams(fields)}`;
  const mine = (asked += 1);
  const region = document.querySelector("#most-active");
  busy("Asking about this token …", region);
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== asked) return;
    if (!answer.ok || !take(page, token)) { location.assign(address); return; }
    history.replaceState(null, "", address);
  } catch {
    if (mine === asked) location.assign(address);
  } finally {
    if (mine === asked) done(document.querySelector("#most-active"));
  }
}

function bind() {
  const tokens = document.querySelector("[data-token-form]");
  if (!tokens) return;
  tokens.querySelector("button").hidden = true;
  tokens.querySelector("select").addEventListener("change", (event) => choose(Number(event.target.value)));
}
bind();

function chosenBy(event) {
  const token = event.target instanceof Element ? event.target.closest(".live-map .tokens > span") : null;
  return token && !token.classList.contains("bos") ? [...token.parentElement.children].indexOf(token) : 0;
}
document.addEventListener("click", (event) => {
  const token = chosenBy(event);
  if (token) choose(token);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const token = chosenBy(event);
  if (!token) return;
  event.preventDefault();
  choose(token);
});
