"use strict";
// What the picture of the front shows, as aero_search/report/chart.py has it: the axes reach around the front and the
// baseline, other candidates beyond them are marks at the border, and a band above holds whatever is higher.
const LEFT = 0.2, ABOVE = 0.8, DEPTH = { diverged: 0.2, stopped: 0.4, plateau: 0.6 };

// `about`: how many ticks there is room for.
aero.panel = (view, about = 6) => {
  const { x: across, y: up } = aero.state;
  const priced = view.candidates.filter((c) => c[across] !== null);
  const at = (c, metric) => (metric === aero.quality ? aero.drawn(c[metric]) : c[metric]);
  const outside = up === aero.quality ? priced.filter((c) => aero.BORDER.includes(c.state)) : [];
  const settled = priced.filter((c) => !outside.includes(c) && at(c, up) !== null);
  const sound = settled.length ? settled : outside.filter((c) => at(c, up) !== null);
  const border = outside.filter((c) => !sound.includes(c));
  const drawn = [...sound, ...border];
  const base = view.baseline ? { ...view.baseline, [aero.quality]: aero.drawn(view.baseQuality) } : {};
  const front = view.front.filter((c) => c[across] !== null), level = front.filter((c) => sound.includes(c));
  const shown = level.length ? level : sound;
  const xs = (front.length ? front : drawn).map((c) => c[across]);
  const ys = shown.flatMap((c) => (up === aero.quality && c.seeds ? [at(c, up), ...aero.bar(c)] : [at(c, up)]));
  if (base[across]) xs.push(base[across]);
  if (base[up]) ys.push(base[up]);
  if (!ys.length && up === aero.quality) ys.push(aero.worst() / 10, aero.worst());
  const xUnit = aero.unit(across, xs), yUnit = aero.unit(up, ys);
  const axis = (values, unit, ...more) => aero.axisAround(values.length ? values.map((v) => v / unit[0]) : [1, 2], ...more);
  const x = axis(xs, xUnit, false, LEFT, about), inner = axis(ys, yUnit, false, undefined, about);
  const banded = border.length > 0 || sound.some((c) => aero.beyond(inner, at(c, up) / yUnit[0]) > 0);
  const y = axis(ys, yUnit, banded, undefined, about);
  const top = inner.high, said = (metric, unit, value) => `${aero.digits(value / unit[0])} ${unit[1]}`.trim();
  const ties = aero.ties(view.front);
  const marks = drawn.map((c) => {
    const cost = c[across] / xUnit[0], inBand = border.includes(c), height = at(c, up) / yUnit[0];
    const side = inBand ? 0 : aero.beyond(inner, height);
    const outlier = [];
    if (inBand ? c.state === "plateau" : side) outlier.push(said(up, yUnit, at(c, up)));
    if (aero.beyond(x, cost)) outlier.push(said(across, xUnit, c[across]));
    const beyond = side ? (side > 0 ? "above" : "below") : { "-1": "left", 0: "", 1: "right" }[aero.beyond(x, cost)];
    const depth = inBand ? DEPTH[c.state] : ABOVE;
    return {
      candidate: c, x: aero.held(x, cost), ends: [y.low, top], beyond: inBand ? "" : beyond, outlier: outlier.join(", "), inBand,
      y: inBand || side > 0 ? aero.valueAt(y, 1 - BAND * depth) : aero.held(inner, height), tied: ties.has(c.trial),
      kind: c.verdict === "front" && inBand ? c.state : c.verdict,
    };
  });
  const points = sound.filter((c) => c.verdict !== "over a limit").map((c) => ({ x: c[across] / xUnit[0], y: at(c, up) / yUnit[0] }));
  const step = stepLine(points.filter((p) => p.x <= x.high && p.y <= top), x.high, top);
  const aboveStep = marks.some((m) => m.kind === "front" && !m.beyond && !step.some((p) => p.x === m.x && p.y === m.y));
  return { x, y, xUnit, yUnit, base, banded, top, marks, step, aboveStep };
};

// What token frequencies alone reach, as it is drawn.
aero.worst = () => (aero.quality === "perplexity" ? aero.data.unigram_perplexity : aero.drawn(aero.data.quality.worst));

// The corners of the edge of what the points dominate, from the top of the panel to its right side.
const stepLine = (points, right, top) => {
  const best = [];
  for (const point of points.sort((a, b) => a.x - b.x || a.y - b.y)) {
    if (!best.length || point.y < best[best.length - 1].y) best.push(point);
  }
  if (!best.length) return [];
  const corners = [{ x: best[0].x, y: top }];
  best.forEach((point, i) => {
    corners.push(point, { x: i + 1 < best.length ? best[i + 1].x : right, y: point.y });
  });
  return corners;
};
