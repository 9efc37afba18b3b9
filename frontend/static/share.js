// Buttons that copy the texts of the share disclosure; it closes with Escape or a click elsewhere.

const share = document.querySelector("details.share");

for (const button of share?.querySelectorAll("[data-copies]") ?? []) {
  const text = document.getElementById(button.dataset.copies);
  const label = text.labels[0].textContent.trim();
  button.setAttribute("aria-label", `Copy: ${label}`);
  button.hidden = false;
  let back = 0;
  button.addEventListener("click", async () => {
    text.select();
    try {
      await navigator.clipboard.writeText(text.value);
      button.textContent = "copied";
      button.setAttribute("aria-label", `Copied: ${label}`);
    } catch {
      button.textContent = "press Ctrl+C"; // the text is selected; the clipboard is out of reach
    }
    clearTimeout(back);
    back = setTimeout(() => {
      button.textContent = "copy";
      button.setAttribute("aria-label", `Copy: ${label}`);
    }, 5000);
  });
}

share?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !share.open) return;
  share.open = false;
  share.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  if (share?.open && !share.contains(event.target)) share.open = false;
});
