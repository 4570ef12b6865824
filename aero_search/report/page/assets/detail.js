"use strict";
// One candidate: figures, what to type for it, its curve and its heads.
aero.onChange((view) => {
  const candidate = view.candidates.find((c) => c.trial === aero.state.selected) || view.knee || view.candidates[0];
  aero.get("detail").hidden = !candidate;
  if (!candidate) return;
  const facts = [
    ["verdict", candidate.reason ? `${candidate.verdict}: ${candidate.reason}` : candidate.verdict],
    [aero.metrics[aero.quality].name, candidate.seeds ? aero.seeds(candidate) : aero.readable(aero.quality, candidate[aero.quality])],
    ...["perplexity", "bits_per_byte", "accuracy"].filter((name) => name !== aero.quality && Number.isFinite(candidate[name])).map((name) => [aero.metrics[name].name, aero.readable(name, candidate[name])]),
    ["latency", aero.readable("latency_s", candidate.latency_s)],
    ["communication", `${aero.readable("communication_bytes", candidate.communication_bytes)}, ${aero.digits(candidate.rounds)} round trips`],
    ["money", `${aero.readable("usd", candidate.usd)} a query (${aero.data.prices.name})`],
    ["FLOPs", aero.readable("flops", candidate.flops)],
    ["parameters", candidate.parameters ? candidate.parameters.toLocaleString("en-US") : "–"],
    ["learning rate, seed", `${candidate.lr}, ${candidate.seed}`],
    ["trained in", aero.duration(candidate.seconds)],
  ];
  aero.fill(
    "about", aero.make("h3", {}, `${candidate.notation}  #${candidate.trial}`),
    aero.make("dl", {}, ...facts.flatMap(([name, text]) => [aero.make("dt", {}, name), aero.make("dd", {}, text)])),
    aero.command(aero.data.provenance.commands.export.replace("trial:N", `trial:${candidate.trial}`)),
    aero.make("details", {}, aero.make("summary", {}, "overrides"), aero.make("code", {}, candidate.overrides.join(" "))),
  );
  if (aero.measured(candidate)) {
    const said = candidate.health ? `${aero.attention(candidate.health, candidate.overloaded_share)}${candidate.health_reason ? `: ${candidate.health_reason}` : ""}` : "";
    aero.fill("entropy", aero.heatmap(candidate), aero.make("p", { class: "muted" }, `${candidate.entropy.length} layers down, heads across; dark 0, yellow ${aero.digits(candidate.even_entropy)} nats (even attention). ${[said, candidate.norm_health].filter(Boolean).join("; ")}`));
  } else {
    aero.fill("entropy", aero.make("p", { class: "muted" }, "No entropies are known of this candidate."));
  }
  const curve = candidate.curve || [];
  const unigram = aero.data.unigram_perplexity;
  const others = view.front.filter((c) => c !== candidate && c.curve);
  const line = (c, colour, width, name) => ({
    x: c.curve.map((p) => p[0]), y: c.curve.map((p) => p[1]), mode: "lines+markers", name: aero.plain(name),
    line: { color: colour, width }, marker: { size: width + 2, color: colour }, hovertemplate: "step %{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
  });
  aero.draw("curve", [
    ...others.map((c) => line(c, aero.colour("line"), 1, `#${c.trial}`)),
    ...(curve.length ? [line(candidate, aero.kindColour("front"), 2.4, `#${candidate.trial}`)] : []),
  ], {
    xaxis: { title: { text: "step", standoff: 6 } }, yaxis: { type: "log", title: { text: "perplexity", standoff: 6 }, nticks: 6 },
    margin: { l: 48, r: 8, t: 8, b: 38 },
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: unigram, y1: unigram, line: { color: aero.colour("muted"), width: 1, dash: "dot" } }],
    annotations: curve.length ? [] : [{ text: "no curve is known", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
  });
});
