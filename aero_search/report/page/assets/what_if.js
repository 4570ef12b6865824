"use strict";
// A row at another size, and what each single change of it would save: known without training, at the chosen prices.
aero.onChange((view) => {
  const what = aero.data.what_if;
  aero.get("what-if-section").hidden = !what;
  if (!what) return;
  const { row, size } = aero.state;
  const cell = what.cells[row][size];
  const note = aero.get("what-if-note");
  if (!cell) {
    note.textContent = `${what.rows[row].notation} cannot be built at ${what.sizes[size].text}.`;
    aero.fill("what-if");
    return;
  }
  const reference = what.cells[what.rows.findIndex((r) => r.notation === aero.data.baseline.notation)]?.[size];
  const price = aero.price(cell), base = reference ? aero.price(reference) : null;
  if (!price) {
    note.textContent = `${cell.notation} has no price under this protocol.`;
    aero.fill("what-if");
    return;
  }
  const found = what.rows[row].trial === null ? null : view.candidates.find((c) => c.trial === what.rows[row].trial);
  const known = found && found.perplexity !== null ? `Trained here, #${found.trial}: ${aero.metrics[aero.quality].name} ${aero.readable(aero.quality, found[aero.quality])}${size ? " at the trained size; at this one it is not known before it is trained" : ""}.` : "Not trained in this study: its quality is not known.";
  note.textContent = `${cell.notation} at ${what.sizes[size].text}. ${known} Below, single changes and what is left after each.`;
  const metrics = ["latency_s", "communication_bytes", "flops", "rounds"];
  const line = (name, costs, against, extra) => aero.make("tr", {}, aero.make("th", { scope: "row", class: "words" }, name), ...metrics.map((metric) => aero.make(
    "td", {}, costs ? aero.readable(metric, costs[metric]) : "–",
    costs && against && against[metric] ? aero.make("span", { class: "saving" }, ` ${aero.percent(costs[metric] / against[metric] - 1)}`) : null,
  )), aero.make("td", {}, extra));
  const perplexity = (trial) => {
    const c = trial === null ? null : view.candidates.find((one) => one.trial === trial);
    return c && c.perplexity !== null ? `${aero.readable(aero.quality, c[aero.quality])} (#${c.trial})` : "–";
  };
  aero.fill(
    "what-if",
    aero.make("thead", {}, aero.make("tr", {}, ...["change", "latency", "communication", "FLOPs", "rounds", `${aero.metrics[aero.quality].name} here`].map((head, i) => aero.make("th", { scope: "col", class: i ? null : "words" }, head)))),
    aero.make("tbody", {},
      ...(base ? [line(`${aero.data.baseline.notation}, for comparison`, base, null, size || !view.baseQuality ? "–" : aero.readable(aero.quality, view.baseQuality))] : []),
      line("as it is", price, base, size ? "–" : perplexity(what.rows[row].trial)),
      ...cell.changes.map((change) => line(change.description, aero.price(change), price, perplexity(change.trial)))),
  );
});
