"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");
  const bytes = v => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let u = 0;
    while (v >= 1024 && u < 4) { v /= 1024; u++; }
    return (u === 0 ? v.toFixed(0) : v.toFixed(v < 9.995 ? 2 : v < 99.95 ? 1 : 0)) + " " + units[u];
  };
  const count = v => {
    for (const [size, name] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (v >= size) return (v / size).toPrecision(3) + name;
    return v.toPrecision(3);
  };
  const rate = v => v !== 0 && Math.abs(v) < 0.01 ? v.toExponential(2) : String(Number(v.toPrecision(4)));
  const write = { loss: v => v.toFixed(4), rate, count, bytes };

  // nearest is the index of the value of xs, which rise, that is nearest to x.
  const nearest = (xs, x) => {
    let lo = 0, hi = xs.length - 1;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (xs[mid] < x) lo = mid + 1; else hi = mid;
    }
    return lo > 0 && x - xs[lo - 1] <= xs[lo] - x ? lo - 1 : lo;
  };

  // A plot shows the values nearest to the pointer, by step alone: the whole box is the target.
  for (const plot of document.querySelectorAll(".plot")) {
    const chart = data[plot.dataset.chart];
    if (!chart) continue;
    const lines = chart.lines.filter(l => l.x && l.x.length);
    if (!lines.length) continue;
    const steps = [...new Set(lines.flatMap(l => l.x))].sort((a, b) => a - b);
    const [x0, x1] = plot.dataset.x.split(" ").map(Number), [y0, y1] = plot.dataset.y.split(" ").map(Number);
    const log = "log" in plot.dataset;
    const atX = x => (x - x0) / (x1 - x0);
    const atY = y => 1 - (log ? Math.log(y / y0) / Math.log(y1 / y0) : (y - y0) / (y1 - y0));
    const format = write[chart.format] || String;
    let shown = [], at = -1;

    const hide = () => { shown.forEach(e => e.remove()); shown = []; };
    const put = (kind, to) => {
      const e = document.createElement("div");
      e.className = kind;
      (to || plot).append(e);
      if (!to) shown.push(e);
      return e;
    };
    const show = (i, speak) => {
      hide();
      at = Math.max(0, Math.min(steps.length - 1, i));
      const x = steps[at], left = atX(x);
      put("cursor").style.left = 100 * left + "%";
      const tip = put("tip"), head = document.createElement("b"), texts = [];
      head.textContent = "step " + Math.round(x).toLocaleString("en");
      tip.append(head);
      for (const l of lines) {
        const j = nearest(l.x, x), far = Math.abs(l.x[j] - x) > Math.max(1, (x1 - x0) / 100);
        if (far && l.x.length > 1 && lines.length > 1) continue; // it has no value near this step
        const row = document.createElement("span");
        row.textContent = l.name + ": " + format(l.y[j]) + (l.x[j] !== x && Math.abs(l.x[j] - x) >= 1 ? " (step " + Math.round(l.x[j]) + ")" : "");
        texts.push(row.textContent);
        tip.append(row);
        if (log && !(l.y[j] > 0)) continue;
        const spot = put("spot " + l.class);
        spot.style.left = 100 * atX(l.x[j]) + "%";
        spot.style.top = 100 * Math.max(0, Math.min(1, atY(l.y[j]))) + "%";
      }
      if (left < 0.5) tip.style.left = "calc(" + 100 * left + "% + 12px)"; else tip.style.right = "calc(" + 100 * (1 - left) + "% + 12px)";
      if (speak) said.textContent = head.textContent + "; " + texts.join("; ");
    };
    const point = e => {
      const box = plot.getBoundingClientRect();
      show(nearest(steps, x0 + (e.clientX - box.left) / box.width * (x1 - x0)));
    };
    const frame = plot.parentElement; // also what lies around the plot hits it
    frame.addEventListener("pointermove", point);
    frame.addEventListener("pointerdown", point);
    frame.addEventListener("pointerleave", e => { if (e.pointerType === "mouse") hide(); });
    document.addEventListener("pointerdown", e => { if (!frame.contains(e.target)) hide(); });
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-roledescription", "chart");
    plot.setAttribute("aria-label", chart.title + (log ? ", logarithmic" : "") + ": arrow keys go from step to step");
    plot.addEventListener("keydown", e => {
      const far = Math.max(1, Math.round(steps.length / 20)), last = steps.length - 1;
      const to = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, PageUp: at - far, PageDown: at + far, Home: 0, End: last }[e.key];
      if (e.key === "Escape") hide();
      if (to === undefined) return;
      e.preventDefault();
      show(to, true);
    });
    plot.addEventListener("blur", hide);
  }

  // What the reader has switched and opened is kept in the address, so that a page that is loaded again shows it again.
  const kept = [...document.querySelectorAll(".to-log, details[id], #refresh")];
  const key = e => e.tagName === "DETAILS" ? "open-" + e.id : e.id === "refresh" ? "still" : e.id;
  const on = e => e.tagName === "DETAILS" ? e.open : e.id === "refresh" ? !e.checked : e.checked;
  const marks = new Set(location.hash.slice(1).split(","));
  for (const e of kept) {
    if (e.tagName === "DETAILS") e.open = marks.has(key(e)); else e.checked = marks.has(key(e)) !== (e.id === "refresh");
    e.addEventListener(e.tagName === "DETAILS" ? "toggle" : "change", () => {
      const hash = "#" + kept.filter(on).map(key).join(",");
      try { history.replaceState(null, "", hash === "#" ? location.pathname + location.search : hash); } catch { location.hash = hash; }
    });
  }

  // A run that goes on: the page loads itself again, unless somebody is reading a value or has left.
  const asOf = document.getElementById("as-of");
  if (asOf && asOf.dataset.stale) {
    const refresh = document.getElementById("refresh");
    refresh.parentElement.hidden = false;
    const quiet = (Date.now() - Date.parse(asOf.dateTime)) / 1000;
    if (quiet > Number(asOf.dataset.stale)) {
      asOf.after(" (no news for " + Math.round(quiet / 60) + " minutes: has the run been stopped?)");
    }
    setInterval(() => {
      if (refresh.checked && !document.hidden && !document.querySelector(".tip") && !String(getSelection())) location.reload();
    }, 30000);
  }
})();
