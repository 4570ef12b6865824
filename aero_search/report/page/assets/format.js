"use strict";
// Numbers as people read them: one unit, three digits, savings as a factor. Prefixes are powers of 1,000.
aero.metrics = {
  perplexity: { name: "perplexity", units: [[1, ""]] },
  bits_per_byte: { name: "bits per byte", units: [[1, ""]] },
  accuracy: { name: "accuracy", units: [[1, ""]] },
  latency_s: { name: "latency", units: [[1e-3, "ms"], [1, "s"], [60, "min"], [3600, "h"]] },
  communication_bytes: { name: "communication", units: [[1, "B"], [1e3, "kB"], [1e6, "MB"], [1e9, "GB"], [1e12, "TB"]] },
  flops: { name: "FLOPs", units: [[1, ""], [1e3, "K"], [1e6, "M"], [1e9, "G"], [1e12, "T"]] },
  usd: { name: "money", units: [[1e-2, "cent"], [1, "USD"]] },
  rounds: { name: "rounds", units: [[1, ""]] },
  seconds: { name: "training time", units: [[1, "s"], [60, "min"], [3600, "h"]] },
};

// The unit in which the largest value has its digits before the point; minutes and hours from 2 of them on.
aero.unit = (metric, values) => {
  const units = aero.metrics[metric].units;
  const largest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  const fitting = units.filter(([size, name]) => largest >= size * (name === "min" || name === "h" ? 2 : 1));
  return fitting.length ? fitting[fitting.length - 1] : units[0];
};

// A quantity as the command line reads one: a number with its unit, written exactly so; `2 GB` and `2GB` alike. Without
// a unit it is seconds, GB or a plain count. Null where it is none.
aero.quantity = (metric, text) => {
  const match = /^(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (!match) return null;
  const plain = { latency_s: "s", communication_bytes: "GB" }[metric] || "";
  const unit = aero.metrics[metric].units.find(([, name]) => name === (match[2] || plain));
  const amount = unit ? Number(match[1]) * unit[0] : NaN;
  return amount > 0 && Number.isFinite(amount) ? amount : null;
};

aero.heading = (metric, unit) => {
  const whose = aero.data.target === null ? "" : metric === aero.quality ? " of the proxy"
    : metric === "seconds" ? "" : ` of ${aero.data.target.split(" (")[0]}`;
  const missing = metric === aero.quality && aero.maximized ? "1 − " : "";
  return `${missing}${aero.metrics[metric].name}${whose}${unit[1] ? ` (${unit[1]})` : ""}`;
};

aero.digits = (value) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 999.5) return Math.round(value).toLocaleString("en-US");
  return value === 0 ? "0" : Math.abs(value) < 1e-4 ? value.toPrecision(2) : value.toPrecision(3);
};

aero.readable = (metric, value) => {
  if (value === null || value === undefined) return "–";
  if (metric === "perplexity") return value < 1e6 ? value.toFixed(2) : value.toExponential(1);
  if (metric === "bits_per_byte") return value.toFixed(3);
  if (metric === "accuracy") return `${(100 * value).toFixed(1)}%`;
  const unit = aero.unit(metric, [value]);
  return `${aero.digits(value / unit[0])} ${unit[1]}`.trim();
};

aero.times = (factor) => {
  if (!Number.isFinite(factor)) return "–";
  return `${factor >= 9.95 ? factor.toFixed(0) : factor >= 0.995 ? factor.toFixed(1) : factor.toPrecision(2)}x`;
};

aero.percent = (share) => share >= 1e4 ? `${(1 + share).toExponential(0)} times` : `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(Math.abs(share) < 0.9995 ? 1 : 0)}%`;

// Against a known value of the study's quality: in percent, of an accuracy in points.
aero.gap = (value, known) => {
  if (aero.quality !== "accuracy") return aero.percent(value / known - 1);
  const points = 100 * (value - known);
  return `${points >= 0 ? "+" : "−"}${Math.abs(points).toFixed(1)} points`;
};

// The size of a step in the study's quality, with its unit.
aero.step = (size) => (aero.quality === "accuracy" ? `${(100 * size).toFixed(1)} points of accuracy` : `${size.toFixed(aero.quality === "perplexity" ? 2 : 3)} ${aero.metrics[aero.quality].name}`);

aero.title = (metric) => aero.metrics[metric].name.replace(/^./, (letter) => letter.toUpperCase());

aero.duration = (seconds) => {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
};

// Fields in brackets without their group, for narrow places; the field's own name tells which it is.
aero.compact = (notation) => notation.replace(/([[ ])(?:attention|stabilizer|regularizer)\.(?=\w+=)/g, "$1");

// What several seeds say: `61.20 (60.80 to 61.60, 95 % interval over 3 seeds, ...)`.
aero.seeds = ({ seeds: { mean, low, high, what } }) => {
  const text = (value) => aero.readable(aero.quality, value);
  return `${text(mean)} (${text(low)} to ${text(high)}, ${what})`;
};

// The ends of the same as pictures draw them, in rising order.
aero.bar = ({ seeds: { low, high } }) => (aero.maximized ? [1 - high, 1 - low] : [low, high]);

// The state of attention in words: most heads are near even after a training as short as a proxy's, which is no fault.
aero.attention = (health, evenShare) => {
  if (String(health).replaceAll("_", " ") !== "entropic overload") return String(health || "").replaceAll("_", " ");
  const share = evenShare === null || evenShare === undefined ? "many" : `${Math.round(100 * evenShare)}% of`;
  return `${share} heads near even attention`;
};

// Plotly reads a few tags in its texts; what comes from files is to stay text.
aero.plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
