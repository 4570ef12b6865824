"use strict";
// Fronts and hypervolume of minimized points, as aero_search/front/pareto.py has them.

// What is compared, better lower: the loss of the study's quality, which of perplexity is itself.
aero.loss = (candidate) => candidate.loss ?? candidate.perplexity;
aero.low = (candidate, metric) => (metric === aero.quality ? aero.loss(candidate) : candidate[metric]);

// Of equal points the first is kept; a point dominates another if it is nowhere larger and somewhere smaller.
aero.nondominated = (candidates, metrics) => candidates.filter((a, i) => !candidates.some((b, j) => {
  if (i === j || !metrics.every((metric) => aero.low(b, metric) <= aero.low(a, metric))) return false;
  return j < i || metrics.some((metric) => aero.low(b, metric) < aero.low(a, metric));
}));

// Shares of the reference box: the loss by its logarithm, costs up to the slack times the baseline's.
aero.scaled = (candidate, baseline, metrics = aero.data.metrics) => metrics.map((metric) => {
  if (metric === aero.quality) return Math.log(aero.loss(candidate)) / Math.log(aero.data.unigram_perplexity);
  return baseline && baseline[metric] ? candidate[metric] / (aero.data.cost_slack * baseline[metric]) : candidate[metric];
});

// Qualities that differ by no more than seeds do: within both intervals, else within the band of one seed each.
aero.tied = (a, b) => {
  if (a.seeds && b.seeds) return a.seeds.low <= b.seeds.high && b.seeds.low <= a.seeds.high;
  return Math.abs(Math.log(aero.loss(a) / aero.loss(b))) <= Math.log1p(aero.data.tie);
};

// Trial numbers of the front's points that have learned something and are a tie with another such point.
aero.ties = (front) => {
  const learned = front.filter((c) => c.state === "finished");
  return new Set(learned.filter((a) => learned.some((b) => a !== b && aero.tied(a, b))).map((c) => c.trial));
};

// Natural logarithms: distances between them are relative changes. A cost of 0 has none, hence the constant.
aero.logs = (candidate, baseline, metrics) => metrics.map((metric) => {
  if (metric === aero.quality) return Math.log(aero.loss(candidate));
  return Math.log(Math.max(0, aero.scaled(candidate, baseline, [metric])[0]) + aero.data.free);
});

// The best balance: of the points that have learned something and are no tie with a point that costs no more, the one
// nearest to the least of every metric. The front comes from cheapest to most expensive.
aero.knee = (front, baseline, metrics) => {
  const costs = metrics.filter((metric) => metric !== aero.quality);
  const worth = [];
  for (const point of front.filter((c) => c.state === "finished")) {
    if (!worth.some((c) => aero.tied(c, point) && costs.every((metric) => c[metric] <= point[metric]))) worth.push(point);
  }
  if (!worth.length) return null;
  const logs = worth.map((c) => aero.logs(c, baseline, metrics));
  const low = logs[0].map((_, k) => Math.min(...logs.map((row) => row[k])));
  const far = logs.map((row) => Math.hypot(...row.map((value, k) => value - low[k])));
  return worth[far.indexOf(Math.min(...far))];
};

// Volume between rows of shares and the corner (1, ..., 1), by slicing along the last coordinate: exact, and fast
// enough for fronts of some hundred points in two to four metrics.
aero.hypervolume = (rows) => {
  const inside = rows.map((row) => row.map((value) => Math.max(0, value))).filter((row) => row.every((value) => value < 1));
  if (!inside.length) return 0;
  const last = inside[0].length - 1;
  if (last === 0) return 1 - Math.min(...inside.map((row) => row[0]));
  inside.sort((a, b) => a[last] - b[last]);
  let volume = 0;
  for (let i = 0; i < inside.length; i += 1) {
    const height = (i + 1 < inside.length ? inside[i + 1][last] : 1) - inside[i][last];
    if (height > 0) volume += height * aero.hypervolume(inside.slice(0, i + 1).map((row) => row.slice(0, last)));
  }
  return volume;
};

aero.hypervolumeOf = (front, baseline) => aero.hypervolume(front.map((c) => aero.scaled(c, baseline)));
