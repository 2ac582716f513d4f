// Draws every figure from the specification beside it. `data-drawn` on <html> counts those done, `data-failed` the others.
(function () {
  const root = document.documentElement;
  root.dataset.drawn = "0";
  root.dataset.failed = "0";
  const count = (name) => { root.dataset[name] = String(Number(root.dataset[name]) + 1); };
  for (const holder of document.querySelectorAll('script[type="application/json"][data-for]')) {
    const target = document.getElementById(holder.dataset.for);
    vegaEmbed(target, JSON.parse(holder.textContent), { renderer: "svg", actions: false }).then(
      () => count("drawn"),
      (error) => {
        count("failed");
        target.textContent = "This figure could not be drawn: " + error;
        console.error(error);
      },
    );
  }
})();
