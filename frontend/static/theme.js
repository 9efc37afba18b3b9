// Sets the reader's own choice of light or dark before the first paint. Loaded in the head, not
// as a module, so that nothing flashes; without a choice the system's preference holds.
(() => {
  try {
    const theme = localStorage.getItem("twinscope-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be switched off: then the system's preference holds.
  }
})();
