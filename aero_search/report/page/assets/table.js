"use strict";
// Every candidate as a row: filtered, sorted by any column, and shown below when it is chosen.
const saving = (view, c, metric) => (view.baseline && c[metric] > 0 ? ` ${aero.times(view.baseline[metric] / c[metric])}` : "");
const RANKS = ["front", "dominated", "over a limit", "running", "stopped", "plateau", "diverged"];

const columns = (view) => [
  { id: "trial", head: "trial", value: (c) => c.trial, text: (c) => `#${c.trial}` },
  { id: "notation", head: "architecture", words: true, value: (c) => c.notation, text: (c) => aero.compact(c.notation) },
  { id: "verdict", head: "verdict", short: true, value: (c) => RANKS.indexOf(c.verdict), text: (c) => c.verdict },
  { id: aero.quality, head: `${aero.data.target === null ? "" : "proxy's "}${aero.metrics[aero.quality].name}`, value: (c) => c[aero.quality], text: (c) => aero.readable(aero.quality, c[aero.quality]) + (c.seeds ? ` ± ${aero.readable(aero.quality, (c.seeds.high - c.seeds.low) / 2)}` : "") },
  ...(view.baseQuality ? [{ id: "change", head: "change", value: (c) => c[aero.quality], text: (c) => (c.perplexity === null ? "–" : aero.gap(c[aero.quality], view.baseQuality)) }] : []),
  ...["latency_s", "communication_bytes", "flops", "rounds", ...(aero.data.metrics.includes("usd") ? ["usd"] : [])].map((metric) => {
    const unit = aero.unit(metric, view.candidates.map((c) => c[metric]));
    return {
      id: metric, head: `${aero.metrics[metric].name}${unit[1] ? ` (${unit[1]})` : ""}`, value: (c) => c[metric],
      text: (c) => aero.digits(c[metric] / unit[0]), after: metric === "rounds" ? null : (c) => saving(view, c, metric),
    };
  }),
  { id: "lr", head: "learning rate", value: (c) => c.lr, text: (c) => String(c.lr) },
  { id: "seconds", head: "trained", value: (c) => c.seconds, text: (c) => aero.duration(c.seconds) },
];

aero.shown = (view) => {
  const { filter, verdict, within } = aero.state;
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return view.candidates.filter((c) => {
    const text = `${c.notation} #${c.trial} ${c.verdict} ${c.overrides.join(" ")}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (verdict === "all" || c.verdict === verdict) && (!within || c.fits);
  });
};

aero.onChange((view) => {
  const { state } = aero, all = columns(view), shown = aero.shown(view);
  const column = all.find((c) => c.id === state.sort);
  const order = column
    ? (a, b) => compare(column.value(a), column.value(b), state.descending)
    : (a, b) => RANKS.indexOf(a.verdict) - RANKS.indexOf(b.verdict) || compare(aero.loss(a), aero.loss(b), false);
  const heads = all.map((c) => {
    const on = c.id === state.sort;
    const sort = on ? (state.descending ? "descending" : "ascending") : "none";
    const mark = on ? (state.descending ? " ↓" : " ↑") : "";
    const click = () => aero.change({ sort: c.id, descending: on && !state.descending });
    return aero.make("th", { scope: "col", class: c.words ? "words" : c.short ? "short" : null, "aria-sort": sort }, aero.make("button", { type: "button", "data-sort": c.id, onclick: click }, c.head + mark));
  });
  const rows = shown.sort(order).map((candidate) => aero.make(
    "tr", {
      class: ["pick", candidate.verdict === "front" ? "front" : candidate.verdict === "dominated" ? "" : "faint", candidate.trial === state.selected ? "chosen" : ""].join(" ").trim(),
      "data-trial": candidate.trial, "data-verdict": candidate.verdict,
      onclick: () => aero.change({ selected: candidate.trial }),
    },
    ...all.map((c) => aero.make(
      c.words ? "th" : "td", { class: c.words ? "words" : c.short ? "short" : null, scope: c.words ? "row" : null },
      c.text(candidate), c.after ? aero.make("span", { class: "saving" }, c.after(candidate)) : null,
    )),
  ));
  aero.fill("candidates", aero.make("thead", {}, aero.make("tr", {}, ...heads)), aero.make("tbody", {}, ...rows));
  const unpriced = view.unpriced ? `; ${view.unpriced} have no price under this protocol` : "";
  aero.get("counted").textContent = `${shown.length} of ${view.candidates.length} candidates, ${view.front.length} on the front${unpriced}. Small factors: times less than ${aero.data.baseline.notation}.`;
});

// Missing values last, whichever way the column is sorted.
const compare = (a, b, descending) => {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return descending ? -order : order;
};
