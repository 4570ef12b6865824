"use strict";
// The picture of the front: candidates by two metrics, the edge of what they dominate, who is outside at the border.
const BAND = 0.11;

const range = (values, band) => {
  const low = Math.min(...values), high = Math.max(...values);
  const log = low > 0 && high / low > 8;
  const [start, end] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const room = end - start || Math.abs(end) || 1;
  const from = start - 0.1 * room, to = end + 0.09 * room;
  return { log, from, to: band ? to + ((to - from) * BAND) / (1 - BAND) : to };
};

const share = (axis, value) => ((axis.log ? Math.log10(value) : value) - axis.from) / (axis.to - axis.from);
const valueAt = (axis, part) => {
  const at = axis.from + part * (axis.to - axis.from);
  return axis.log ? 10 ** at : at;
};

// The corners of the edge, from the top of the panel to its right side.
const stepLine = (points, right, top) => {
  const best = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || a.y - b.y)) {
    if (!best.length || point.y < best[best.length - 1].y) best.push(point);
  }
  if (!best.length) return [];
  const corners = [{ x: best[0].x, y: top }];
  best.forEach((point, i) => {
    corners.push(point, { x: i + 1 < best.length ? best[i + 1].x : right, y: point.y });
  });
  return corners;
};

aero.onChange((view) => {
  const { state } = aero;
  const outside = state.y === "perplexity" ? view.candidates.filter((c) => aero.BORDER.includes(c.state)) : [];
  const sound = view.candidates.filter((c) => !outside.includes(c) && c[state.x] !== null && c[state.y] !== null);
  const alone = sound.length ? sound : outside.filter((c) => c[state.y] !== null);
  const border = outside.filter((c) => !alone.includes(c));
  const base = view.baseline ? { ...view.baseline, perplexity: view.basePerplexity } : null;
  const xs = [...alone, ...border].map((c) => c[state.x]);
  if (base && state.x in base) xs.push(base[state.x]);
  const spread = state.y === "perplexity" ? alone.flatMap((c) => (c.seeds ? [c.seeds.low, c.seeds.high] : [])) : [];
  const ys = [...alone.map((c) => c[state.y]), ...spread];
  if (base && base[state.y]) ys.push(base[state.y]);
  const xUnit = aero.unit(state.x, xs), yUnit = aero.unit(state.y, ys);
  const x = range(xs.length ? xs.map((v) => v / xUnit[0]) : [1, 2], false);
  const y = range(ys.length ? ys.map((v) => v / yUnit[0]) : [1, 2], border.length > 0);
  const top = valueAt(y, border.length ? 1 - BAND : 1);
  const depth = { diverged: 0.25, stopped: 0.5, plateau: 0.75 };
  const marks = [...alone, ...border].map((c) => ({
    candidate: c,
    x: c[state.x] / xUnit[0],
    y: border.includes(c) ? valueAt(y, 1 - BAND * depth[c.state]) : c[state.y] / yUnit[0],
    kind: c.verdict === "front" ? (border.includes(c) ? c.state : "front") : c.verdict,
    border: border.includes(c),
  }));
  const traces = [edge(marks, x, top), ...baseTrace(base, state, xUnit, yUnit), ...publishedTrace(state, xUnit, yUnit, x, y, top)];
  for (const kind of Object.keys(aero.kinds)) traces.push(...kindTrace(kind, marks.filter((m) => m.kind === kind)));
  traces.push(...ring(marks, view.knee, "best balance", "knee"));
  const chosen = view.candidates.find((c) => c.trial === state.selected);
  if (chosen && chosen !== view.knee) traces.push(...ring(marks, chosen, "chosen", "ink"));
  const axisOf = (axis, metric, unit) => ({
    title: { text: aero.heading(metric, unit), standoff: 10 }, type: axis.log ? "log" : "linear",
    range: [axis.from, axis.to], ...(axis.log ? { dtick: axis.to - axis.from < 2.7 ? "D2" : 1 } : {}),
  });
  aero.draw("front", traces, {
    xaxis: axisOf(x, state.x, xUnit), yaxis: axisOf(y, state.y, yUnit),
    shapes: shapes(base, state, xUnit, yUnit, border.length > 0, top),
    annotations: names(marks.filter((m) => m.candidate.verdict === "front"), marks, x, y, view, traces[0]),
    showlegend: true, legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", font: { size: 11 } },
    margin: { l: 56, r: 14, t: 44, b: 48 },
  }).then((plot) => {
    plot.removeAllListeners("plotly_click");
    plot.on("plotly_click", ({ points }) => {
      const trial = points.map((p) => p.customdata).find((value) => Number.isInteger(value));
      if (trial !== undefined) aero.change({ selected: trial });
    });
  });
});

const edge = (marks, x, top) => {
  const corners = stepLine(marks.filter((m) => !m.border && m.candidate.verdict !== "over a limit"), valueAt(x, 1), top);
  return {
    x: corners.map((c) => c.x), y: corners.map((c) => c.y), mode: "lines", hoverinfo: "skip", showlegend: false,
    line: { color: aero.kindColour("front"), width: 2 }, opacity: 0.7,
  };
};

const kindTrace = (kind, marks) => {
  if (!marks.length) return [];
  const look = aero.kinds[kind], colour = aero.kindColour(kind), thin = look.symbol === "x-thin";
  const bars = marks.some((m) => m.candidate.seeds && !m.border && aero.state.y === "perplexity");
  return [{
    x: marks.map((m) => m.x), y: marks.map((m) => m.y), mode: "markers", name: kind, opacity: look.opacity,
    customdata: marks.map((m) => m.candidate.trial),
    text: marks.map((m) => aero.hover(m.candidate)), hovertemplate: "%{text}<extra></extra>",
    marker: {
      symbol: look.symbol, size: look.size,
      color: marks.map((m) => (m.candidate.verdict === "front" ? aero.kindColour("front") : colour)),
      line: { width: thin ? 2.2 : 1, color: thin || look.symbol.endsWith("open") ? colour : aero.colour("paper") },
    },
    ...(bars ? { error_y: errors(marks) } : {}),
  }];
};

// From a mark to the ends of its bar; where y has a unit of its own it is perplexity, whose unit is 1.
const errors = (marks) => ({
  type: "data", thickness: 1.2, width: 4,
  array: marks.map(({ candidate: c, y }) => (c.seeds ? Math.max(0, c.seeds.high - y) : 0)),
  arrayminus: marks.map(({ candidate: c, y }) => (c.seeds ? Math.max(0, y - c.seeds.low) : 0)),
});

const ring = (marks, candidate, name, colour) => {
  const mark = marks.find((m) => m.candidate === candidate);
  if (!mark) return [];
  return [{
    x: [mark.x], y: [mark.y], mode: "markers", name, hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 19, color: aero.colour(colour), line: { width: 2.4 } },
  }];
};

const baseTrace = (base, state, xUnit, yUnit) => {
  if (!base || !base[state.x] || !base[state.y]) return [];
  return [{
    x: [base[state.x] / xUnit[0]], y: [base[state.y] / yUnit[0]], mode: "markers", hoverinfo: "skip",
    name: `baseline ${aero.plain(aero.data.baseline.notation)}`, marker: { symbol: "star", size: 22, color: "#e69f00" },
  }];
};

// AERO's own rows: a diamond where the perplexity compares, else the cost alone at the lower edge.
const publishedTrace = (state, xUnit, yUnit, x, y, top) => {
  const rows = aero.data.published.filter((row) => state.x in row && share(x, row[state.x] / xUnit[0]) >= 0 && share(x, row[state.x] / xUnit[0]) <= 1);
  if (!rows.length || state.y !== "perplexity") return [];
  const height = (row) => (row.perplexity !== null && row.perplexity > valueAt(y, 0) && row.perplexity < top ? row.perplexity : null);
  return [{
    x: rows.map((row) => row[state.x] / xUnit[0]), y: rows.map((row) => height(row) ?? valueAt(y, 0)),
    mode: "markers", name: "published by AERO", cliponaxis: false, hovertemplate: "%{text}<extra></extra>",
    text: rows.map((row) => `AERO: ${aero.plain(row.notation)}, ${row.ffn_layers} FFNs<br>${aero.readable("communication_bytes", row.communication_bytes)}, ${aero.readable("latency_s", row.latency_s)}, ${aero.plain(row.dataset)}`),
    marker: {
      symbol: rows.map((row) => (height(row) === null ? "triangle-up-open" : "diamond-open")), size: 9,
      color: aero.dark.matches && !aero.printing ? "#b9a7ee" : "#5b4b8a", line: { width: 1.5 },
    },
  }];
};

const shapes = (base, state, xUnit, yUnit, band, top) => {
  const line = { color: "#e69f00", width: 1.3, dash: "dot" };
  const drawn = [];
  if (band) drawn.push({ type: "rect", xref: "paper", yref: "paper", x0: 0, x1: 1, y0: 1 - BAND, y1: 1, fillcolor: aero.colour("band"), line: { width: 0 }, layer: "below" });
  if (base && base[state.x]) drawn.push({ type: "line", yref: "paper", x0: base[state.x] / xUnit[0], x1: base[state.x] / xUnit[0], y0: 0, y1: band ? 1 - BAND : 1, line, layer: "below" });
  if (base && base[state.y]) drawn.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: base[state.y] / yUnit[0], y1: base[state.y] / yUnit[0], line, layer: "below" });
  return drawn;
};

const names = (named, marks, x, y, view, line) => {
  const plot = aero.get("front");
  const frame = { w: plot.clientWidth - 70, h: plot.clientHeight - 92 };
  const pixel = (m) => ({ x: share(x, m.x) * frame.w, y: (1 - share(y, m.y)) * frame.h });
  const corners = line.x.map((at, i) => pixel({ x: at, y: line.y[i] }));
  const lines = corners.slice(1).map((to, i) => ({
    x: Math.min(to.x, corners[i].x) - 1, y: Math.min(to.y, corners[i].y) - 1, w: Math.abs(to.x - corners[i].x) + 2, h: Math.abs(to.y - corners[i].y) + 2,
  }));
  const boxes = marks.map(pixel).map((p) => ({ x: p.x - 7, y: p.y - 7, w: 14, h: 14 }));
  const points = named.map((m) => ({
    ...pixel(m), mark: m,
    texts: [aero.compact(m.candidate.notation).replace(" [", "\n["), aero.compact(m.candidate.notation).split(" [")[0], `#${m.candidate.trial}`],
  }));
  // The point of best balance chooses its place first.
  points.sort((a, b) => (b.mark.candidate === view.knee) - (a.mark.candidate === view.knee));
  return aero.placeLabels(points, frame, boxes, lines).map(({ box, text, far, point }) => ({
    x: x.log ? Math.log10(point.mark.x) : point.mark.x, y: y.log ? Math.log10(point.mark.y) : point.mark.y,
    text: (point.mark.candidate === view.knee ? `<b>${aero.plain(text)}</b>` : aero.plain(text)).replace("\n", "<br>"),
    ax: box.x + box.w / 2 - point.x, ay: box.y + box.h / 2 - point.y, align: "left", font: { size: 11 }, borderpad: 0,
    showarrow: true, arrowhead: 0, arrowwidth: 0.8, standoff: 7, arrowcolor: far ? aero.colour("muted") : "rgba(0,0,0,0)",
  }));
};

aero.hover = (c) => {
  const lines = [`<b>${aero.plain(c.notation)}</b>  #${c.trial}`];
  lines.push(c.perplexity === null ? aero.plain(c.reason || c.state) : `perplexity ${c.perplexity.toFixed(2)}`);
  if (c.seeds) lines.push(aero.plain(aero.seeds(c)));
  if (c.state === "plateau") lines.push("never left the unigram plateau");
  lines.push(["latency_s", "communication_bytes"].map((m) => aero.readable(m, c[m])).join(", "));
  lines.push(`${aero.readable("flops", c.flops)} FLOPs, ${aero.digits(c.rounds)} rounds, learning rate ${c.lr}`);
  return lines.join("<br>");
};
