"use strict";
// The table of a ladder, as `aero-search ablate` has left it; its costs are those it was run with.
const LADDER = [
  { head: "variant", words: true, text: (r) => r.row },
  { head: "perplexity", text: (r) => (r.perplexity === null ? "–" : r.perplexity.toFixed(2) + (r.perplexity_std === null ? "" : ` ± ${r.perplexity_std.toFixed(2)}`)) },
  { head: "change", text: (r) => (r.change_percent === null ? "–" : aero.percent(r.change_percent / 100)) },
  { head: "published", text: (r) => (r.published === null ? "" : String(r.published)) },
  { head: "learning rate", text: (r) => (r.lr === null ? "–" : `${r.lr}${r.lr_at_edge ? " *" : ""}`) },
  { head: "nonlinear operations", words: true, text: (r) => r.nonlinear_operations },
  ...["latency_s", "communication_bytes", "flops"].map((metric) => ({
    head: aero.metrics[metric].name, text: (r) => aero.readable(metric, r[metric]),
    after: (r) => ` ${aero.times(r[`saving_${metric}`] ?? NaN)}`,
  })),
  { head: "remarks", words: true, text: (r) => [r.verdict, aero.attention(r.health, r.overloaded_share)].filter(Boolean).join("; ") },
];

aero.onChange(() => {
  const { ladder } = aero.data;
  aero.get("ladder-section").hidden = !ladder;
  if (!ladder || aero.get("ladder").childElementCount) return;
  aero.get("ladder-note").textContent = `${ladder.name}: ${ladder.description} ${ladder.source ? `Published: ${ladder.source}` : ""} Costs as the ladder was run; small factors: times less than the first row.`;
  const kept = LADDER.filter((c) => ladder.rows.some((row) => c.text(row)));
  aero.fill(
    "ladder", aero.make("thead", {}, aero.make("tr", {}, ...kept.map((c) => aero.make("th", { scope: "col", class: c.words ? "words" : null }, c.head)))),
    aero.make("tbody", {}, ...ladder.rows.map((row) => aero.make("tr", {}, ...kept.map((c) => aero.make(
      "td", { class: c.words ? "words" : null }, c.text(row), c.after ? aero.make("span", { class: "saving" }, c.after(row)) : null,
    ))))),
  );
  aero.fill("ladder-sentences", ...ladder.sentences.map((sentence) => aero.make("li", {}, sentence)));
});
