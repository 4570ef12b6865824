"use strict";
// Which point to take: the one of best balance, or the best within the reader's budget, and the steps beside it.
const COSTS = ["latency_s", "communication_bytes", "flops"];
const SPOKEN = { latency_s: "latency", communication_bytes: "bytes", flops: "FLOPs", rounds: "rounds" };

aero.onChange((view) => {
  const limits = Object.entries(aero.state.budget);
  if (!view.front.length) {
    aero.fill("choice", aero.make("p", {}, "The front is empty: no candidate with a perplexity has a price here."));
    return;
  }
  if (!limits.length && !view.knee) {
    aero.fill("choice", aero.make("p", {}, "Every point of the front stayed on the unigram plateau: train longer."));
    return;
  }
  if (!limits.length) {
    show(view, view.knee, "Best balance");
    return;
  }
  const { chosen, near, fitting } = aero.choose(view, aero.state.budget);
  if (!chosen) {
    const misses = limits.map(([metric, limit]) => `${aero.metrics[metric].name} ${aero.readable(metric, near[metric])} (limit ${aero.readable(metric, limit)})`);
    aero.fill("choice", aero.make("p", { class: "warning" }, "Nothing keeps these limits."),
      aero.make("p", {}, "The nearest, ", aero.candidateLink(near), `, has ${misses.join(", ")}.`));
    return;
  }
  show(view, chosen, `Best of ${fitting.length} within the budget`);
});

// As Front.within chooses: of what keeps the study's limits and the budget the best quality, or where only that
// is limited the least cost; `near` misses the budget by least.
aero.choose = (view, budget) => {
  const limits = Object.entries(budget);
  const fitting = view.fitting.filter((c) => aero.fits(c, budget));
  const near = view.fitting.length ? best(view.fitting, (c) => Math.max(...limits.map(([metric, limit]) => aero.excess(c, metric, limit)))) : null;
  const onlyQuality = limits.length === 1 && limits[0][0] === aero.quality;
  const by = onlyQuality ? view.metrics.find((metric) => metric !== aero.quality) : aero.quality;
  return { chosen: fitting.length ? best(fitting, (c) => aero.low(c, by)) : null, near, fitting };
};

const best = (candidates, score) => candidates.reduce((a, b) => (score(b) < score(a) ? b : a));

const show = (view, candidate, how) => {
  const savings = COSTS.filter((metric) => view.baseline && candidate[metric] > 0).map(
    (metric) => `${aero.readable(metric, candidate[metric])}${metric === "flops" ? " FLOPs" : ""} (${aero.times(view.baseline[metric] / candidate[metric])} less)`,
  );
  const value = candidate[aero.quality];
  const change = view.baseQuality ? ` (${aero.gap(value, view.baseQuality)} against ${aero.data.baseline.notation})` : "";
  aero.fill(
    "choice", aero.make("p", { class: "muted" }, how), aero.make("p", {}, aero.candidateLink(candidate)),
    aero.make("p", {}, `${aero.title(aero.quality)} ${aero.readable(aero.quality, value)}${change}; ${savings.join(", ")}.`),
    aero.make("ul", { class: "steps" }, ...steps(view, candidate)),
    aero.command(aero.data.provenance.commands.export.replace("trial:N", `trial:${candidate.trial}`)),
  );
};

// For each cost the next cheaper point of the best quality, and the surely better point that costs least; a tie
// where none is sure.
const steps = (view, from) => {
  const found = new Map();
  const add = (direction, to, metric) => {
    const key = `${direction} ${to.trial}`;
    found.set(key, [direction, to, [...(found.has(key) ? found.get(key)[2] : []), SPOKEN[metric] || metric]]);
  };
  for (const metric of view.metrics.filter((name) => name !== aero.quality)) {
    const cheaper = view.front.filter((c) => c[metric] < from[metric]);
    const lower = view.front.filter((c) => aero.loss(c) < aero.loss(from));
    const surely = lower.filter((c) => !aero.tied(c, from));
    const better = surely.length ? surely : lower;
    if (cheaper.length) add("cheaper", best(cheaper, aero.loss), metric);
    if (better.length) add("better", best(better, (c) => c[metric]), metric);
  }
  const order = [...found.values()].sort((a, b) => (a[0] === "cheaper" ? 0 : 1) - (b[0] === "cheaper" ? 0 : 1));
  return order.map(([direction, to, by]) => {
    const dearer = direction === "cheaper" && COSTS.some((metric) => to[metric] / from[metric] - 1 >= 0.005);
    return aero.make("li", {}, `One step ${direction}${dearer ? ` in ${listed(by)}` : ""}, `, aero.candidateLink(to), `: ${exchange(from, to)}.`);
  });
};

const listed = (parts) => [parts.slice(0, -1).join(", "), parts[parts.length - 1]].filter(Boolean).join(" and ");

const exchange = (from, to) => {
  const gap = to[aero.quality] - from[aero.quality];
  const shares = COSTS.map((metric) => [SPOKEN[metric], to[metric] / from[metric] - 1]);
  const saved = shares.filter(([, s]) => s <= -0.005).map(([name, s]) => `${(-100 * s).toFixed(0)}% of ${name}`);
  const spent = shares.filter(([, s]) => s >= 0.005).map(([name, s]) => (s < 1 ? `${(100 * s).toFixed(0)}% more ${name}` : `${(1 + s).toFixed(1)} times the ${name}`));
  const said = [saved.length ? `saves ${listed(saved)}` : "", spent.length ? `costs ${listed(spent)}` : ""].filter(Boolean);
  return `${gap >= 0 ? "+" : "−"}${aero.step(Math.abs(gap))}${aero.tied(from, to) ? " (a tie)" : ""} ${said.join(" and ") || "at the same cost"}`;
};
