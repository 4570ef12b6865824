"use strict";
// Costs under the chosen protocol and network: latency = compute + bytes / bandwidth + round trips x round-trip time;
// money = bytes x egress + compute x what a second of the parties' machines costs. Of several lowerings the cheapest.
aero.priceUnder = (priced, { protocol, bandwidth, rtt }) => {
  const rows = priced.by[protocol];
  if (!rows) return null;
  const order = [aero.data.cheapest_by, "latency_s", "communication_bytes", "rounds"];
  return rows.map(([bytes, rounds, compute]) => ({
    latency_s: compute + bytes / (bandwidth * 1e6 / 8) + rounds * (rtt / 1e3),
    communication_bytes: bytes,
    flops: priced.flops,
    rounds,
    usd: bytes * (aero.data.prices.usd_per_gb / 1e9) + compute * aero.rate(protocol),
  })).reduce((best, costs) => {
    const metric = order.find((name) => costs[name] !== best[name]);
    return metric !== undefined && costs[metric] < best[metric] ? costs : best;
  });
};

aero.price = (priced) => aero.priceUnder(priced, aero.state);

aero.rate = (name) => aero.data.protocols.find((protocol) => protocol.name === name).usd_per_second;

// What is outside a comparison of perplexities, and why.
aero.BORDER = ["plateau", "stopped", "diverged"];

// Every candidate at the chosen prices, the front among them, the point of best balance and the hypervolume.
aero.view = () => {
  const { data, state } = aero;
  const baseline = aero.price(data.baseline);
  const candidates = [];
  let unpriced = 0;
  for (const entry of data.candidates) {
    const costs = aero.price(entry);
    if (costs === null) unpriced += 1;
    else candidates.push({ ...entry, ...costs });
  }
  const trained = candidates.filter((c) => c.perplexity !== null && !["running", "stopped"].includes(c.state));
  const over = (c) => Object.entries(data.limits).some(([metric, limit]) => c[metric] > limit);
  const fitting = trained.filter((c) => !over(c));
  const metrics = state.of === "axes" ? [...new Set([state.y, state.x])] : data.metrics;
  // A network is one point: the best of its trainings.
  const front = aero.nondominated(fitting.filter((c) => c.represents), metrics);
  const by = metrics.find((metric) => metric !== aero.quality) || metrics[0];
  front.sort((a, b) => a[by] - b[by]);
  for (const c of candidates) {
    c.verdict = front.includes(c) ? "front" : c.state === "finished" ? (over(c) ? "over a limit" : "dominated") : c.state;
    c.fits = aero.fits(c, state.budget) && !over(c);
  }
  const first = trained.filter((c) => c.baseline && c.represents).sort((a, b) => aero.loss(a) - aero.loss(b))[0];
  return {
    candidates, trained, fitting, front, unpriced, metrics, baseline,
    baseQuality: first ? first[aero.quality] : null,
    knee: aero.knee(front, baseline, metrics),
    hypervolume: aero.hypervolumeOf(front, baseline),
  };
};

aero.fits = (candidate, budget) => Object.entries(budget).every(
  ([metric, limit]) => candidate[metric] !== null && aero.excess(candidate, metric, limit) <= 1,
);

// How many times worse than a limit a candidate is; at most 1 where it keeps it.
aero.excess = (candidate, metric, limit) => (metric === aero.quality && aero.maximized ? limit / candidate[metric] : candidate[metric] / limit);
