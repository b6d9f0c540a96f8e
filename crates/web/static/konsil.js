// Pages work without this: it only makes a running job's page change at once.
(() => {
  "use strict";
  const live = document.getElementById("live");
  if (!live || !window.EventSource || !window.htmx) return;
  const over = () => {
    const progress = document.getElementById("progress");
    return !progress || progress.dataset.over === "true";
  };
  if (over()) return;
  const events = new EventSource(live.dataset.events);
  events.addEventListener("job", (event) => {
    const progress = document.getElementById("progress");
    const state = JSON.parse(event.data).state;
    if (state !== "waiting" && state !== "running") {
      events.close();
      // the result stands on the same page
      window.location.reload();
    } else if (progress) {
      window.htmx.trigger(progress, "konsil-change");
    }
  });
})();
