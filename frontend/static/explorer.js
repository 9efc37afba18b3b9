// The explorer: a file that takes a while says that it is being made.

for (const link of document.querySelectorAll(".downloads a[download]")) {
  const text = link.textContent;
  link.addEventListener("click", () => {
    link.textContent = `${text} is being made…`;
    setTimeout(() => { link.textContent = text; }, 4000);
  });
}
