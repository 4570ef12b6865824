"use strict";
// Axes as aero_search/report/axis.py has them: a range around values, linear or logarithmic, with round ticks.
// `from` and `to` are the ends, of a log axis as powers of 10; `low` and `high` the same as values.
const LOG_FROM = 8, MARGIN = 0.09, BAND = 0.16, BORDER = 0.02;

aero.axisAround = (values, band = false, left = MARGIN, about = 6) => {
  const least = Math.min(...values), most = Math.max(...values);
  const log = least > 0 && most / least > LOG_FROM;
  const [start, end] = log ? [Math.log10(least), Math.log10(most)] : [least, most];
  const room = end - start || Math.abs(end) || 1;
  const from = start - left * room, inner = end + MARGIN * room;
  const to = band ? inner + ((inner - from) * BAND) / (1 - BAND) : inner;
  const ticks = log ? logTicks(10 ** from, 10 ** inner) : roundTicks(from, inner, about);
  return { log, from, to, low: log ? 10 ** from : from, high: log ? 10 ** to : to, ticks };
};

// Where a value lies on an axis, 0 to 1, and back.
aero.share = (axis, value) => ((axis.log ? Math.log10(value) : value) - axis.from) / (axis.to - axis.from);
aero.valueAt = (axis, part) => {
  const at = axis.from + part * (axis.to - axis.from);
  return axis.log ? 10 ** at : at;
};

// -1 below an axis, 1 above it, 0 on it; and the place at the border that stands for what lies beyond.
aero.beyond = (axis, value) => (value > axis.high) - (value < axis.low);
aero.held = (axis, value) => ({ 0: value, 1: aero.valueAt(axis, 1 - BORDER), "-1": aero.valueAt(axis, BORDER) })[aero.beyond(axis, value)];

// A tick's number without zeros that say nothing.
aero.tick = (value) => {
  const text = aero.digits(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
};

const roundTicks = (low, high, about) => {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
  const width = [1, 2, 2.5, 5, 10].map((factor) => power * factor).find((size) => size >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / width); i <= Math.floor(high / width); i += 1) ticks.push(Number((i * width).toFixed(10)));
  return ticks;
};

const logTicks = (low, high) => {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of high / low > 500 ? [1] : [1, 2, 5]) ticks.push(Number(`${factor}e${power}`));
  }
  return ticks.filter((tick) => low <= tick && tick <= high);
};
