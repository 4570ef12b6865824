"use strict";
// The page's data and what the reader has chosen. Every other script reads both here and is told when they change.
const aero = {
  data: JSON.parse(document.getElementById("data").textContent),
  state: {
    protocol: "", network: "", bandwidth: 0, rtt: 0,
    x: "latency_s", y: "", of: "study",
    budget: {}, filter: "", verdict: "all", within: false,
    sort: "", descending: false, selected: null,
    over: "trainings", row: 0, size: 0,
  },
  listeners: [],
};

// The study's quality: the first of its metrics. Studies of earlier pages have perplexity alone.
aero.quality = aero.data.metrics[0];
aero.state.y = aero.quality;
aero.maximized = Boolean(aero.data.quality && aero.data.quality.maximized);

// What pictures draw, lower is better: of a quality that is maximized what is missing from 1.
aero.drawn = (value) => (aero.maximized && value !== null && value !== undefined ? 1 - value : value);

// `listener(view)` runs after every change, with the candidates priced as chosen; see pricing.js.
aero.onChange = (listener) => aero.listeners.push(listener);

aero.change = (changes) => {
  Object.assign(aero.state, changes);
  const view = aero.view();
  aero.current = view;
  for (const listener of aero.listeners) listener(view);
};
