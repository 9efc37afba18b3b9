// Values of a token at every site, on hover, focus and tap. One tab stop an example (its focus);
// the arrow keys go along the tokens. Where a page leaves the values out, values.js fetches them.

const box = document.createElement("div");
box.className = "token-values";
box.id = "token-values";
box.setAttribute("popover", "manual");
box.setAttribute("role", "status");
document.body.append(box);
let shown = null;

function cell(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

// "0.01 37 -4": a step, then each token's value in steps.
function valueOf(values, index) {
  const [step, ...steps] = values.split(" ").map(Number);
  const decimals = Math.max(0, Math.round(-Math.log10(step)));
  const value = steps[index] * step;
  const text = decimals > 6 ? value.toExponential(1) : value.toFixed(decimals);
  return text.replace("-", "−");
}

function fill(line, index) {
  const token = line.children[index];
  const version = line.closest(".cell");
  const names = { own: version.querySelector(".tag")?.textContent.trim() ?? "this version", other: line.parentElement.querySelector(".other .act")?.textContent.trim() ?? "" };
  const sites = ["pre", "mid", "post", "projection"].filter((site) => line.hasAttribute(`data-${site}`) || line.hasAttribute(`data-other-${site}`));
  const head = document.createElement("tr");
  head.append(cell("th", ""), ...sites.map((site) => cell("th", site)));
  const table = document.createElement("table");
  table.append(head);
  for (const [who, prefix] of [["own", ""], ["other", "other-"]]) {
    if (!sites.some((site) => line.hasAttribute(`data-${prefix}${site}`))) continue;
    const row = document.createElement("tr");
    row.className = who;
    row.append(cell("th", names[who]));
    for (const site of sites) {
      const values = line.getAttribute(`data-${prefix}${site}`);
      row.append(cell("td", values === null ? "" : valueOf(values, index)));
    }
    table.append(row);
  }
  if (line.dataset.said) {
    const row = document.createElement("tr");
    row.append(cell("td", line.dataset.said));
    table.append(row);
  }
  const name = document.createElement("span");
  name.className = "token";
  name.append(...[...token.childNodes].map((node) => node.cloneNode(true)));
  box.replaceChildren(name, table);
  box.classList.toggle("left", version.classList.contains("left"));
  box.classList.toggle("right", version.classList.contains("right"));
}

function show(token) {
  if (shown === token) return;
  shown = token;
  const line = token.parentElement;
  fill(line, [...line.children].indexOf(token));
  if (!box.matches(":popover-open")) box.showPopover();
  place(token);
  line.dispatchEvent(new CustomEvent("values-wanted", { bubbles: true }));
}

document.addEventListener("twinscope:values", () => {
  if (!shown) return;
  const line = shown.parentElement;
  fill(line, [...line.children].indexOf(shown));
  place(shown);
});

function place(token) {
  box.classList.add("placed");
  const at = token.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left, innerWidth - box.offsetWidth - 8));
  const above = at.top - box.offsetHeight - 6;
  box.style.left = `${left}px`;
  box.style.top = `${above > 4 ? above : at.bottom + 8}px`;
}

function hide() {
  shown = null;
  if (box.matches(":popover-open")) box.hidePopover();
}

function tokenOf(target) {
  return target instanceof Element ? target.closest(".tokens > span") : null;
}

document.addEventListener("pointerover", (event) => {
  if (event.pointerType !== "mouse") return;
  const token = tokenOf(event.target);
  if (token) show(token); else if (shown && shown !== document.activeElement) hide();
});
document.addEventListener("click", (event) => {
  const token = tokenOf(event.target);
  if (token) { makeStop(token); token.focus({ preventScroll: true }); show(token); } else hide();
});
document.addEventListener("focusin", (event) => {
  const token = tokenOf(event.target);
  if (token) show(token); else hide();
});
document.addEventListener("scroll", () => {
  if (!shown) return;
  if (shown.matches(":hover") || shown === document.activeElement) place(shown); else hide();
}, { passive: true });

function makeStop(token) {
  for (const other of token.parentElement.querySelectorAll("[tabindex]")) other.removeAttribute("tabindex");
  token.tabIndex = 0;
}

document.addEventListener("keydown", (event) => {
  const token = tokenOf(event.target);
  if (!token) return;
  if (event.key === "Escape") { hide(); return; }
  const to = {
    ArrowRight: token.nextElementSibling, ArrowLeft: token.previousElementSibling,
    Home: token.parentElement.firstElementChild, End: token.parentElement.lastElementChild,
  }[event.key];
  if (!to) return;
  event.preventDefault();
  makeStop(to);
  to.focus({ preventScroll: true });
  to.scrollIntoView({ block: "nearest" });
});

function markStops() {
  for (const line of document.querySelectorAll(".tokens")) {
    const focus = line.children[Number(line.dataset.focus)];
    if (focus) focus.tabIndex = 0;
  }
}
markStops();
document.addEventListener("twinscope:shown", markStops);

// The other version beneath every example at once
const button = document.querySelector("[data-open-all]");
if (button) {
  const all = () => document.querySelectorAll(".example .other");
  button.hidden = all().length === 0;
  button.setAttribute("aria-pressed", "false");
  button.title = "The other version's colours beneath every example";
  document.addEventListener("twinscope:shown", () => {
    if (button.getAttribute("aria-pressed") === "true") for (const one of all()) one.open = true;
  });
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    const kept = button.getBoundingClientRect().top;
    for (const one of all()) one.open = open;
    button.setAttribute("aria-pressed", String(open));
    scrollBy({ top: button.getBoundingClientRect().top - kept, behavior: "instant" });
  });
}
