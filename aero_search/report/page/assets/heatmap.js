"use strict";
// Attention entropy, layer by head, as small pictures with one scale: 0 to what a head reaches that attends evenly.
// Five colours of cividis, made to look alike with and without colour vision deficiency (doi 10.1371/journal.pone.0199239).
const CIVIDIS = [[0, 32, 77], [66, 78, 107], [124, 123, 120], [187, 174, 111], [255, 234, 70]];

const cividis = (part) => {
  const at = Math.max(0, Math.min(1, part)) * (CIVIDIS.length - 1);
  const i = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const mix = CIVIDIS[i].map((low, k) => Math.round(low + (at - i) * (CIVIDIS[i + 1][k] - low)));
  return `rgb(${mix.join(",")})`;
};

const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

aero.heatmap = (candidate) => {
  const layers = candidate.entropy, heads = Math.max(...layers.map((layer) => layer.length));
  const cells = layers.flatMap((layer, i) => layer.map((value, j) => {
    const title = svg("title", {});
    title.textContent = `layer ${i}, head ${j}: ${aero.digits(value)} nats of ${aero.digits(candidate.even_entropy)}`;
    return svg("rect", { x: j * 10, y: i * 10, width: 9.4, height: 9.4, fill: cividis(value / candidate.even_entropy) }, title);
  }));
  const label = `Attention entropy of ${candidate.notation}, ${layers.length} layers by ${heads} heads`;
  return svg("svg", { viewBox: `0 0 ${heads * 10} ${layers.length * 10}`, role: "img", "aria-label": label }, ...cells);
};

// AERO, arXiv 2410.13060, section 3; what is said of short trainings is measured in docs/health.md.
aero.EVEN = "A head near even attention lies in the top quarter of entropy. AERO calls it overload where 58% of the heads are there (GELU), not where 23% are (ReLU); a training as short as a proxy's leaves most there, good networks too. A collapse, a layer that looks at one token alone, is what goes with networks that do not learn.";

aero.measured = (candidate) => Boolean(candidate.entropy && candidate.entropy.length && candidate.entropy.some((layer) => layer.length));

aero.onChange((view) => {
  const shown = aero.shown(view).filter(aero.measured);
  shown.sort((a, b) => RANKS.indexOf(a.verdict) - RANKS.indexOf(b.verdict) || compare(aero.loss(a), aero.loss(b), false));
  const most = 48;
  aero.fill("heatmaps", ...shown.slice(0, most).map((c) => aero.make(
    "div", { class: "tile" }, aero.heatmap(c), aero.make("div", { class: "name" }, aero.candidateLink(c)),
    aero.make("div", { class: "muted" }, [c.verdict, c.perplexity === null ? "" : `${aero.metrics[aero.quality].name} ${aero.readable(aero.quality, c[aero.quality])}`, aero.attention(c.health, c.overloaded_share)].filter(Boolean).join(" · ")),
  )));
  const left = shown.length > most ? ` The first ${most} of ${shown.length}; the table's filters choose others.` : "";
  aero.get("heatmap-note").textContent = shown.length
    ? `Rows are layers from the shallowest, columns heads; dark is 0, yellow the entropy of even attention. The candidates of the table above.${left} ${aero.EVEN}`
    : "No candidate of the table above has measured entropies.";
});
