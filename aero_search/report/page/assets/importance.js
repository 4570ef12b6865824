"use strict";
// Which parameters decide; computed when the page was written, at the study's own prices.
aero.onChange(() => {
  const { importance } = aero.data;
  const names = Object.keys(importance.front);
  aero.get("importance").hidden = !names.length;
  if (!names.length) {
    aero.get("importance-note").textContent = `${importance.trials} finished trials are too few to tell which parameters decide.`;
    return;
  }
  aero.get("importance-note").textContent = `${importance.method} over ${importance.trials} finished trials, at the study's own prices: what tells the best ${importance.best} from the rest. Shares sum to 1; a parameter that counts only under a condition is compared where it does.`;
  const rows = [...names].reverse();
  const bar = (values, name, colour) => ({
    type: "bar", orientation: "h", y: rows.map(aero.plain), x: rows.map((row) => values[row] ?? 0), name, marker: { color: colour },
    hovertemplate: "%{y}: %{x:.2f}<extra>%{fullData.name}</extra>",
  });
  const plot = aero.get("importance");
  plot.style.height = `${Math.max(220, 90 + 34 * rows.length)}px`;
  aero.draw("importance", [
    bar(importance.perplexity, `for a ${aero.maximized ? "high" : "low"} ${aero.metrics[aero.quality].name}`, aero.colour("knee")),
    bar(importance.front, "for the front", aero.kindColour("front")),
  ], {
    xaxis: { title: { text: "share", standoff: 6 }, range: [0, 1] }, yaxis: { automargin: true },
    barmode: "group", bargap: 0.3, showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "reversed" },
    margin: { l: 56, r: 14, t: 30, b: 44 },
  });
});
