"use strict";
// How the hypervolume grew, at the chosen prices: over trainings, over training time, over the clock.
const OVERS = {
  trainings: { name: "trainings", text: "trainings finished" },
  training: { name: "training time", text: "training time of all candidates" },
  clock: { name: "clock", text: "time since the study began" },
};

const growth = (view, over) => {
  // In the order in which they ended; where that is not known, in the order of their numbers.
  const done = view.candidates.filter((c) => c.state !== "running");
  done.sort((a, b) => (a.ended ?? Infinity) - (b.ended ?? Infinity) || a.trial - b.trial);
  const points = [[0, 0]];
  let front = [], spent = 0, volume = 0;
  done.forEach((candidate, i) => {
    spent += candidate.seconds || 0;
    if (view.fitting.includes(candidate)) {
      const grown = aero.nondominated([...front, candidate], aero.data.metrics);
      if (grown.includes(candidate)) volume = aero.hypervolumeOf(grown, view.baseline);
      front = grown;
    }
    const at = { trainings: i + 1, training: spent, clock: candidate.ended }[over];
    if (at !== null && at !== undefined) points.push([at, volume, candidate.trial]);
  });
  return points;
};

const box = () => (aero.quality === "perplexity"
  ? `from perplexity 1 (by its logarithm) and no cost up to perplexity ${aero.digits(aero.data.unigram_perplexity)}`
  : `from ${aero.metrics[aero.quality].name} ${aero.readable(aero.quality, aero.maximized ? 1 : 0)} and no cost to ${aero.readable(aero.quality, aero.data.quality.worst)}`);

aero.onChange((view) => {
  const { over } = aero.state;
  const points = growth(view, over);
  const unit = over === "trainings" ? [1, ""] : aero.unit("seconds", points.map((p) => p[0]));
  const last = points[points.length - 1][1];
  aero.get("volume").textContent = `Now ${last.toFixed(4)}: the share of the box that the front dominates, in ${aero.data.metrics.map((m) => aero.metrics[m].name).join(", ")}; ${box()} (token frequencies alone) and ${aero.data.cost_slack} times the costs of ${aero.data.baseline.notation}, at the prices chosen above.`;
  aero.draw("progress", [{
    x: points.map((p) => p[0] / unit[0]), y: points.map((p) => p[1]), mode: "lines", line: { shape: "hv", width: 2.2, color: aero.kindColour("front") },
    text: points.map((p) => (p.length > 2 ? `#${p[2]}` : "start")), hovertemplate: "%{text}: %{y:.4f}<extra></extra>",
  }], {
    xaxis: { title: { text: OVERS[over].text + (unit[1] ? ` (${unit[1]})` : ""), standoff: 6 }, rangemode: "tozero" },
    yaxis: { title: { text: "hypervolume", standoff: 6 }, rangemode: "tozero" },
  });
});
