"use strict";
// The picture of the front: candidates by two metrics, the edge of what they dominate, who is outside at the border.
aero.onChange((view) => {
  const { state } = aero;
  const panel = aero.panel(view, innerWidth > 640 ? 6 : 4);
  const { x, y, xUnit, yUnit, base, banded, top, marks } = panel;
  const traces = [edge(panel), ...baseTrace(base, state, xUnit, yUnit), ...publishedTrace(state, xUnit, yUnit, x, y, top)];
  for (const kind of Object.keys(aero.kinds)) traces.push(...kindTrace(kind, marks.filter((m) => m.kind === kind && !m.beyond)));
  traces.push(...outlierTrace(marks.filter((m) => m.beyond)), ...tieTrace(marks.filter((m) => m.tied && !m.inBand && !m.beyond)));
  traces.push(...ring(marks, view.knee, "best balance", "knee"));
  const chosen = view.candidates.find((c) => c.trial === state.selected);
  if (chosen && chosen !== view.knee) traces.push(...ring(marks, chosen, "chosen", "ink"));
  aero.fill("key", ...key(traces));
  const axisOf = (axis, metric, unit) => ({
    title: { text: aero.heading(metric, unit), standoff: 10 }, type: axis.log ? "log" : "linear",
    range: [axis.from, axis.to], tickvals: axis.ticks, ticktext: axis.ticks.map(aero.tick),
  });
  aero.draw("front", traces, {
    xaxis: axisOf(x, state.x, xUnit), yaxis: axisOf(y, state.y, yUnit),
    shapes: shapes(base, state, xUnit, yUnit, banded),
    annotations: names(panel, view),
    margin: { l: 56, r: 14, t: 12, b: 48 },
  }).then((plot) => {
    plot.removeAllListeners("plotly_click");
    plot.on("plotly_click", ({ points }) => {
      const trial = points.map((p) => p.customdata).find((value) => Number.isInteger(value));
      if (trial !== undefined) aero.change({ selected: trial });
    });
  });
});

// The legend in the page's own text, which wraps: plotly's would take its room from the picture.
const GLYPHS = {
  line: "━", star: "★", circle: "●", "circle-open": "○", "triangle-up": "▲", "triangle-down": "▼", "x-thin": "✕",
  tie: "◉", interval: "┃", "diamond-open": "◇", "triangle-up-open": "△", "triangle-down-open": "▽",
  "triangle-left-open": "◁", "triangle-right-open": "▷",
};

const key = (traces) => {
  const entries = traces.filter((trace) => trace.name && trace.x.length).map(({ name, meta }) => [name, meta]);
  if (traces.some((trace) => trace.error_y)) entries.push(["95 % interval over seeds", { glyph: "interval", colour: aero.kindColour("front") }]);
  return entries.map(([name, { glyph, colour }]) => aero.make(
    "li", {}, aero.make("span", { "aria-hidden": "true", style: `color: ${colour}` }, GLYPHS[glyph]), ` ${name}`,
  ));
};

const edge = ({ step, aboveStep }) => ({
  x: step.map((c) => c.x), y: step.map((c) => c.y), mode: "lines", hoverinfo: "skip",
  name: `lowest ${aero.state.y === aero.quality && aero.maximized ? "1 − " : ""}${aero.metrics[aero.state.y].name} at each cost${aboveStep ? "; a front point above it saves another cost" : ""}`,
  line: { color: aero.kindColour("front"), width: 2 }, opacity: 0.7, meta: { glyph: "line", colour: aero.kindColour("front") },
});

const ARROWS = { above: "triangle-up-open", below: "triangle-down-open", left: "triangle-left-open", right: "triangle-right-open" };

const outlierTrace = (marks) => (marks.length ? [{
  x: marks.map((m) => m.x), y: marks.map((m) => m.y), mode: "markers", name: "beyond the axes: number and value",
  meta: { glyph: ARROWS[marks[0].beyond], colour: aero.kindColour("dominated") },
  customdata: marks.map((m) => m.candidate.trial),
  text: marks.map((m) => aero.hover(m.candidate)), hovertemplate: "%{text}<extra></extra>",
  marker: { symbol: marks.map((m) => ARROWS[m.beyond]), size: 9, color: aero.kindColour("dominated"), line: { width: 1.4 } },
}] : []);

const tieTrace = (marks) => (marks.length ? [{
  x: marks.map((m) => m.x), y: marks.map((m) => m.y), mode: "markers", name: "a tie with another point of the front", hoverinfo: "skip",
  meta: { glyph: "tie", colour: aero.kindColour("front") },
  marker: { size: 5, color: aero.colour("paper"), line: { width: 1, color: aero.kindColour("front") } },
}] : []);

const kindTrace = (kind, marks) => {
  if (!marks.length) return [];
  const look = aero.kinds[kind], colour = aero.kindColour(kind), thin = look.symbol === "x-thin";
  const bars = marks.some((m) => m.candidate.seeds && !m.inBand && aero.state.y === aero.quality);
  return [{
    x: marks.map((m) => m.x), y: marks.map((m) => m.y), mode: "markers", name: kind, opacity: look.opacity, meta: { glyph: look.symbol, colour },
    customdata: marks.map((m) => m.candidate.trial),
    text: marks.map((m) => aero.hover(m.candidate)), hovertemplate: "%{text}<extra></extra>",
    marker: {
      symbol: look.symbol, size: look.size,
      color: marks.map((m) => (m.candidate.verdict === "front" ? aero.kindColour("front") : colour)),
      line: { width: thin ? 2.2 : 1, color: thin || look.symbol.endsWith("open") ? colour : aero.colour("paper") },
    },
    ...(bars ? { error_y: errors(marks, colour) } : {}),
  }];
};

// From a mark to the ends of its bar, as far as the axis reaches below its band; where it has one, y is the quality,
// whose unit is 1.
const errors = (marks, colour) => ({
  type: "data", thickness: 1.2, width: 4, color: colour,
  array: marks.map(({ candidate: c, y, ends }) => (c.seeds ? Math.max(0, Math.min(ends[1], aero.bar(c)[1]) - y) : 0)),
  arrayminus: marks.map(({ candidate: c, y, ends }) => (c.seeds ? Math.max(0, y - Math.max(ends[0], aero.bar(c)[0])) : 0)),
});

const ring = (marks, candidate, name, colour) => {
  const mark = marks.find((m) => m.candidate === candidate);
  if (!mark) return [];
  return [{
    x: [mark.x], y: [mark.y], mode: "markers", name, hoverinfo: "skip", meta: { glyph: "circle-open", colour: aero.colour(colour) },
    marker: { symbol: "circle-open", size: 19, color: aero.colour(colour), line: { width: 2.4 } },
  }];
};

const baseTrace = (base, state, xUnit, yUnit) => {
  if (!base || !base[state.x] || !base[state.y]) return [];
  return [{
    x: [base[state.x] / xUnit[0]], y: [base[state.y] / yUnit[0]], mode: "markers", hoverinfo: "skip",
    name: `baseline ${aero.data.baseline.notation}`, meta: { glyph: "star", colour: "#e69f00" }, marker: { symbol: "star", size: 22, color: "#e69f00" },
  }];
};

// AERO's own rows: a diamond where the perplexity compares, else the cost alone at the lower edge.
const publishedTrace = (state, xUnit, yUnit, x, y, top) => {
  const rows = aero.data.published.filter((row) => state.x in row && aero.share(x, row[state.x] / xUnit[0]) >= 0 && aero.share(x, row[state.x] / xUnit[0]) <= 1);
  if (!rows.length || state.y !== aero.quality) return [];
  const colour = aero.dark.matches && !aero.printing ? "#b9a7ee" : "#5b4b8a";
  const height = (row) => (aero.quality === "perplexity" && row.perplexity !== null && row.perplexity > aero.valueAt(y, 0) && row.perplexity < top ? row.perplexity : null);
  return [{
    x: rows.map((row) => row[state.x] / xUnit[0]), y: rows.map((row) => height(row) ?? aero.valueAt(y, 0)),
    mode: "markers", name: "published by AERO (at the edge: cost alone)", meta: { glyph: "diamond-open", colour }, cliponaxis: false, hovertemplate: "%{text}<extra></extra>",
    text: rows.map((row) => `AERO: ${aero.plain(row.notation)}, ${row.ffn_layers} FFNs<br>${aero.readable("communication_bytes", row.communication_bytes)}, ${aero.readable("latency_s", row.latency_s)}, ${aero.plain(row.dataset)}`),
    marker: {
      symbol: rows.map((row) => (height(row) === null ? "triangle-up-open" : "diamond-open")), size: 9,
      color: colour, line: { width: 1.5 },
    },
  }];
};

const shapes = (base, state, xUnit, yUnit, band) => {
  const line = { color: "#e69f00", width: 1.3, dash: "dot" };
  const drawn = [];
  if (band) drawn.push({ type: "rect", xref: "paper", yref: "paper", x0: 0, x1: 1, y0: 1 - BAND, y1: 1, fillcolor: aero.colour("band"), line: { width: 0 }, layer: "below" });
  if (base && base[state.x]) drawn.push({ type: "line", yref: "paper", x0: base[state.x] / xUnit[0], x1: base[state.x] / xUnit[0], y0: 0, y1: band ? 1 - BAND : 1, line, layer: "below" });
  if (base && base[state.y]) drawn.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: base[state.y] / yUnit[0], y1: base[state.y] / yUnit[0], line, layer: "below" });
  return drawn;
};

// Names of the front's points, then numbers and values of what lies beyond the axes.
const names = ({ x, y, xUnit, yUnit, base, marks, step, top }, view) => {
  const plot = aero.get("front");
  const frame = { w: plot.clientWidth - 70, h: plot.clientHeight - 60 };
  const pixel = (m) => ({ x: aero.share(x, m.x) * frame.w, y: (1 - aero.share(y, m.y)) * frame.h });
  const segments = step.slice(1).map((to, i) => [step[i], to]);
  const [cost, level] = [base[aero.state.x] / xUnit[0], base[aero.state.y] / yUnit[0]];
  if (cost) segments.push([{ x: cost, y: y.low }, { x: cost, y: top }]);
  if (level) segments.push([{ x: x.low, y: level }, { x: x.high, y: level }]);
  if (aero.state.y === aero.quality) {
    for (const m of marks) if (m.candidate.seeds && !m.inBand && !m.beyond) segments.push(aero.bar(m.candidate).map((end) => ({ x: m.x, y: Math.max(y.low, end) })));
  }
  const lines = segments.map((ends) => ends.map(pixel)).map(([from, to]) => ({
    x: Math.min(to.x, from.x) - 1, y: Math.min(to.y, from.y) - 1, w: Math.abs(to.x - from.x) + 2, h: Math.abs(to.y - from.y) + 2,
  }));
  const boxes = marks.map(pixel).map((p) => ({ x: p.x - 7, y: p.y - 7, w: 14, h: 14 }));
  const named = marks.filter((m) => m.outlier || m.candidate.verdict === "front");
  const points = named.map((m) => ({
    ...pixel(m), mark: m,
    texts: m.outlier ? [`#${m.candidate.trial} ${m.outlier}`, `#${m.candidate.trial}`] : [aero.compact(m.candidate.notation).replace(" [", "\n["), aero.compact(m.candidate.notation).split(" [")[0], `#${m.candidate.trial}`],
  }));
  // The point of best balance chooses its place first, outliers last.
  const rank = ({ mark }) => (mark.candidate === view.knee ? 0 : mark.outlier ? 2 : 1);
  points.sort((a, b) => rank(a) - rank(b));
  return aero.placeLabels(points, frame, boxes, lines).map(({ box, text, far, point }) => ({
    x: x.log ? Math.log10(point.mark.x) : point.mark.x, y: y.log ? Math.log10(point.mark.y) : point.mark.y,
    text: (point.mark.candidate === view.knee ? `<b>${aero.plain(text)}</b>` : aero.plain(text)).replace("\n", "<br>"),
    ax: box.x + box.w / 2 - point.x, ay: box.y + box.h / 2 - point.y,
    font: { size: 11, color: aero.colour(point.mark.outlier ? "muted" : "ink") }, align: "left", borderpad: 0,
    showarrow: true, arrowhead: 0, arrowwidth: 0.8, standoff: 7, arrowcolor: far ? aero.colour("muted") : "rgba(0,0,0,0)",
  }));
};

aero.hover = (c) => {
  const lines = [`<b>${aero.plain(c.notation)}</b>  #${c.trial}`];
  lines.push(c.perplexity === null ? aero.plain(c.reason || c.state) : `${aero.metrics[aero.quality].name} ${aero.readable(aero.quality, c[aero.quality])}`);
  if (c.seeds) lines.push(aero.plain(aero.seeds(c)));
  if (c.state === "plateau") lines.push("never left the unigram plateau");
  lines.push(["latency_s", "communication_bytes"].map((m) => aero.readable(m, c[m])).join(", "));
  lines.push(`${aero.readable("flops", c.flops)} FLOPs, ${aero.digits(c.rounds)} rounds, learning rate ${c.lr}`);
  return lines.join("<br>");
};
