// What every page has: the choice of light or dark, keys, definitions on hover, links to copy.

const root = document.documentElement;

function stored(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}
function store(name, value) {
  try { localStorage.setItem(name, value); } catch { /* storage is off: the choice lasts a page */ }
}

// Light or dark
const themeButton = document.querySelector("[data-theme-button]");
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
}
function nameTheme() {
  themeButton.textContent = isDark() ? "Light" : "Dark";
  themeButton.setAttribute("aria-label", isDark() ? "Use the light colours" : "Use the dark colours");
}
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  store("twinscope-theme", root.dataset.theme);
  nameTheme();
});
prefersDark.addEventListener("change", nameTheme);
nameTheme();

// Keys: every link or button with data-key, and every choice with data-cycle, says its own.
const keyed = [...document.querySelectorAll("[data-key]")];
const cycles = [...document.querySelectorAll("[data-cycle]")];
const help = document.createElement("dialog");
help.setAttribute("aria-label", "Keys");
function row(keys, meaning) {
  const line = document.createElement("tr");
  const cell = document.createElement("td");
  for (const key of keys) {
    const shown = document.createElement("kbd");
    shown.textContent = { ArrowLeft: "←", ArrowRight: "→" }[key] ?? key;
    cell.append(shown, " ");
  }
  const said = document.createElement("td");
  said.textContent = meaning;
  line.append(cell, said);
  return line;
}
function fillHelp() {
  const table = document.createElement("table");
  for (const element of keyed) {
    if (element.hidden) continue;
    table.append(row(element.dataset.key.split(" "), element.title || element.textContent.trim()));
  }
  for (const element of document.querySelectorAll("[data-help-keys]")) table.append(row(element.dataset.helpKeys.split(" "), element.dataset.helpText));
  for (const cycle of cycles) table.append(row([cycle.dataset.cycle], `Next choice of: ${cycle.getAttribute("aria-label").toLowerCase()}`));
  if (document.querySelector(".tokens")) table.append(row(["Tab"], "To an example's token, then ← and → along its tokens"));
  table.append(row(["?"], "This list"), row(["Esc"], "Close"));
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = stored("twinscope-keys") !== "off";
  box.addEventListener("change", () => store("twinscope-keys", box.checked ? "on" : "off"));
  label.append(box, " Keys of one letter are on");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => help.close());
  help.replaceChildren(table, label, document.createElement("br"), close);
}
document.body.append(help);
function openHelp() {
  fillHelp();
  help.showModal();
}
const helpButton = document.querySelector("[data-help]");
helpButton.hidden = false;
helpButton.addEventListener("click", openHelp);

function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable], dialog, .tokens, .js-plotly-plot");
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (event.key === "?") { openHelp(); return; }
  if (stored("twinscope-keys") === "off") return;
  const element = keyed.find((one) => !one.hidden && one.dataset.key.split(" ").includes(event.key));
  if (element) {
    event.preventDefault();
    if (element.matches("input")) { element.focus(); element.select(); } else element.click();
    return;
  }
  const cycle = cycles.find((one) => one.dataset.cycle === event.key);
  if (!cycle) return;
  const links = [...cycle.querySelectorAll("a")];
  const current = links.findIndex((link) => link.hasAttribute("aria-current"));
  links[(current + 1) % links.length]?.click();
});

// Definitions open on hover, too, beside their term; a click or a tap keeps them open.
let closing;
function place(popover, term) {
  const at = term.getBoundingClientRect();
  popover.classList.add("placed");
  const width = popover.offsetWidth;
  const left = Math.max(8, Math.min(at.left, innerWidth - width - 8));
  const below = at.bottom + 6 + popover.offsetHeight < innerHeight;
  popover.style.left = `${left}px`;
  popover.style.top = below ? `${at.bottom + 6}px` : `${Math.max(8, at.top - popover.offsetHeight - 6)}px`;
}
for (const term of document.querySelectorAll(".term[popovertarget]")) {
  const popover = document.getElementById(term.getAttribute("popovertarget"));
  if (!popover) continue;
  let opening;
  const pinned = () => popover.dataset.pinned === "yes";
  term.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse") return;
    clearTimeout(closing);
    opening = setTimeout(() => {
      if (popover.matches(":popover-open")) return;
      popover.showPopover();
      place(popover, term);
    }, 250);
  });
  const leave = () => {
    clearTimeout(opening);
    closing = setTimeout(() => { if (!pinned() && popover.matches(":popover-open")) popover.hidePopover(); }, 250);
  };
  term.addEventListener("pointerleave", leave);
  popover.addEventListener("pointerenter", () => clearTimeout(closing));
  popover.addEventListener("pointerleave", leave);
  term.addEventListener("click", (event) => {
    clearTimeout(opening);
    clearTimeout(closing);
    event.preventDefault();
    if (popover.matches(":popover-open") && pinned()) { popover.hidePopover(); return; }
    if (!popover.matches(":popover-open")) popover.showPopover();
    popover.dataset.pinned = "yes";
    place(popover, term);
  });
  popover.addEventListener("toggle", (event) => { if (event.newState === "closed") delete popover.dataset.pinned; });
}

// A link that is copied when it is clicked
for (const link of document.querySelectorAll("[data-copy]")) {
  const text = link.textContent;
  let back = 0;
  link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!navigator.clipboard) return;
    event.preventDefault();
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = "copied";
    } catch {
      location.href = link.href;
    }
    clearTimeout(back);
    back = setTimeout(() => { link.textContent = text; }, 5000);
  });
  link.setAttribute("aria-live", "polite");
}

// What takes longer than a blink says that it is under way: a page that comes, a form that was
// sent, and what scripts ask for ("twinscope:wait" and "twinscope:done" on the document).
const waiting = document.createElement("p");
waiting.className = "waiting";
waiting.setAttribute("aria-live", "polite");
document.body.append(waiting);
let underWay = 0;
let soon;
function wait() {
  underWay += 1;
  if (underWay === 1) soon = setTimeout(() => { waiting.textContent = "One moment …"; }, 300);
}
function done() {
  underWay = Math.max(underWay - 1, 0);
  if (underWay > 0) return;
  clearTimeout(soon);
  waiting.textContent = "";
}
document.addEventListener("twinscope:wait", wait);
document.addEventListener("twinscope:done", done);
addEventListener("pageshow", (event) => { if (event.persisted) { underWay = 0; done(); } });
// The page is about to be left; where a file came after all, or the reader stopped it, it is not.
function leaving() {
  wait();
  setTimeout(done, 20_000);
}
addEventListener("submit", (event) => {
  // A form with a status of its own says what it waits for.
  if (!event.defaultPrevented && !event.target.querySelector("[role=status]")) leaving();
});
addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
  const elsewhere = event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  if (!link || elsewhere || link.getAttribute("target") || link.hasAttribute("download")) return;
  const to = new URL(link.getAttribute("href"), location.href); // links of figures have no parts
  const isHere = to.hash && to.href.split("#")[0] === location.href.split("#")[0];
  if (to.origin === location.origin && !isHere) leaving();
});
