// The rest of a band in its place: the link to it leads to the page that draws all examples, and they
// are taken from there. Whatever fails, the link is followed.

const pages = new Map(); // address → the page that draws all

function pageAt(address) {
  if (!pages.has(address)) {
    pages.set(address, fetch(address).then(async (answer) => {
      if (!answer.ok) throw new Error(String(answer.status));
      return new DOMParser().parseFromString(await answer.text(), "text/html");
    }));
  }
  return pages.get(address);
}

const runOf = (page) => page.querySelector("[data-values]").dataset.values;

async function draw(link) {
  const more = link.closest(".more");
  if (more.hasAttribute("aria-busy")) return; // asked for already
  const list = more.previousElementSibling;
  const first = link.hash.slice(1); // the name of the first that is not here
  more.setAttribute("aria-busy", "true");
  document.dispatchEvent(new Event("twinscope:wait"));
  const page = await pageAt(link.href.split("#")[0]).finally(() => document.dispatchEvent(new Event("twinscope:done")));
  if (runOf(page) !== runOf(document)) throw new Error("another run was published meanwhile");
  const all = page.getElementById(first).closest("ol");
  const names = [...more.querySelectorAll("[id]")].map((one) => one.id);
  const found = names.map((name) => all.querySelector(`:scope > [id="${name}"]`));
  if (found.includes(null)) throw new Error("an example is missing");
  more.remove(); // it has their names
  for (const one of found) list.append(document.importNode(one, true));
  const elsewhere = link.getAttribute("href").split("#")[0];
  for (const other of document.querySelectorAll("a[href]")) { // those of figures, too
    const [address, name] = other.getAttribute("href").split("#");
    if (address === elsewhere && names.includes(name)) other.setAttribute("href", `#${name}`);
  }
  document.dispatchEvent(new CustomEvent("twinscope:shown"));
  document.getElementById(first).querySelector(".rank").focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest(".more > a") : null;
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  draw(link).catch(() => { location.href = link.href; });
});
