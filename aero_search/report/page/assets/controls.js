"use strict";
// What the reader sets: prices, axes, budget, filters. Each control changes the state; the state fills no control but
// the two numbers of a chosen network.
const number = (id) => {
  const value = Number.parseFloat(aero.get(id).value);
  return Number.isFinite(value) ? value : null;
};

const chooseNetwork = (name) => {
  const network = aero.data.networks.find((one) => one.name === name);
  if (!network) return;
  aero.get("bandwidth").value = network.bandwidth_mbps;
  aero.get("rtt").value = network.rtt_ms;
  aero.change({ network: name, bandwidth: network.bandwidth_mbps, rtt: network.rtt_ms });
};

const freeNetwork = () => {
  const bandwidth = number("bandwidth"), rtt = number("rtt");
  if (bandwidth === null || bandwidth <= 0 || rtt === null || rtt < 0) {
    aero.get("priced").textContent = "A link needs a bandwidth above 0 Mbps and a round trip of 0 ms or more.";
    return;
  }
  const known = aero.data.networks.find((one) => one.bandwidth_mbps === bandwidth && one.rtt_ms === rtt);
  aero.get("network").value = known ? known.name : "";
  aero.change({ network: known ? known.name : "", bandwidth, rtt });
};

const BUDGET = { "max-latency": "latency_s", "max-bytes": "communication_bytes", "max-flops": "flops", "max-perplexity": aero.quality };

const readBudget = () => {
  const budget = {}, unread = [];
  for (const [id, metric] of Object.entries(BUDGET)) {
    const text = value(id).trim();
    const amount = text ? aero.quantity(metric, text) : null;
    if (amount !== null) budget[metric] = amount;
    else if (text) unread.push(`${text} is no ${aero.metrics[metric].name}: write ${aero.get(id).placeholder}`);
  }
  aero.get("budget-said").textContent = unread.join("; ");
  aero.change({ budget });
};

const on = (id, kind, act) => aero.get(id).addEventListener(kind, act);
const value = (id) => aero.get(id).value;

aero.setUp = () => {
  const { data } = aero;
  const metric = (name) => [name, aero.metrics[name].name];
  aero.options("protocol", data.protocols.map((p) => [p.name, p.name]), data.protocol);
  aero.options("network", [...data.networks.map((n) => [n.name, `${n.name} (${n.bandwidth_mbps} Mbps, ${n.rtt_ms} ms)`]), ["", "your own"]], data.network);
  aero.options("x", ["latency_s", "communication_bytes", "flops", "rounds", "usd", "seconds"].map(metric), data.metrics[1]);
  aero.options("y", [aero.quality, "latency_s", "communication_bytes", "flops", "rounds", "usd"].map(metric), aero.quality);
  aero.get("quality-limit").textContent = `${aero.title(aero.quality)} at ${aero.maximized ? "least" : "most"} `;
  aero.get("max-perplexity").placeholder = aero.maximized ? "0.4" : aero.quality === "perplexity" ? "60" : "1.5";
  aero.options("of", [["study", data.metrics.map((name) => aero.metrics[name].name).join(", ")], ["axes", "the two axes"]], "study");
  aero.options("verdict", ["all", ...RANKS].map((name) => [name, name]), "all");
  aero.options("over", Object.entries(OVERS).map(([name, { name: text }]) => [name, text]), "trainings");
  if (data.what_if) {
    aero.options("row", data.what_if.rows.map((r, i) => [String(i), `${aero.compact(r.notation)}${r.trial === null ? "" : `  #${r.trial}`}`]), "0");
    aero.options("size", data.what_if.sizes.map((s, i) => [String(i), s.name]), "0");
  }
  on("protocol", "change", () => aero.change({ protocol: value("protocol") }));
  on("network", "change", () => (value("network") === "" ? freeNetwork() : chooseNetwork(value("network"))));
  for (const id of ["bandwidth", "rtt"]) on(id, "input", freeNetwork);
  on("prices", "submit", (event) => event.preventDefault());
  on("budget", "submit", (event) => event.preventDefault());
  on("reset", "click", (event) => {
    event.preventDefault();
    aero.get("protocol").value = data.protocol;
    aero.get("network").value = data.network;
    aero.state.protocol = data.protocol;
    chooseNetwork(data.network);
  });
  for (const id of Object.keys(BUDGET)) on(id, "input", readBudget);
  for (const id of ["x", "y", "of", "verdict", "over"]) on(id, "change", () => aero.change({ [id]: value(id) }));
  for (const id of ["row", "size"]) on(id, "change", () => aero.change({ [id]: Number(value(id)) }));
  on("filter", "input", () => aero.change({ filter: value("filter") }));
  on("within", "change", () => aero.change({ within: aero.get("within").checked }));
  aero.state.protocol = data.protocol;
  aero.state.x = data.metrics[1];
};

aero.onChange((view) => {
  const { data, state } = aero;
  const now = new Set(view.front.map((c) => c.trial));
  const asked = new Set(data.front.front.map((entry) => entry.trial));
  const enters = [...now].filter((trial) => !asked.has(trial)), leaves = [...asked].filter((trial) => !now.has(trial));
  const same = state.protocol === data.protocol && state.network === data.network && state.of === "study";
  const said = [enters.length ? `enters the front: ${enters.map((t) => `#${t}`).join(", ")}` : "", leaves.length ? `leaves it: ${leaves.map((t) => `#${t}`).join(", ")}` : ""].filter(Boolean);
  const prices = `${state.protocol}, ${state.bandwidth} Mbps, ${state.rtt} ms`;
  aero.get("priced").textContent = same
    ? `Prices as asked: ${prices}. Another protocol or link re-prices everything on this page; nothing is trained again.`
    : `Re-priced: ${prices}. Against the prices asked for, ${said.join("; ") || "the front keeps its points"}.`;
});
