"use strict";
// Where everything on the page comes from, and what to type to have it again.
const flat = (value) => (Array.isArray(value) ? value.join(", ") : typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));

aero.showProvenance = () => {
  const { data } = aero, from = data.provenance;
  const versions = Object.entries(from["trained with"]).map(([name, version]) => `${name} ${version}`).join(", ");
  const pairs = [
    ["study begun", new Date(1000 * from.created).toLocaleString()],
    ["corpus fingerprint", from["corpus fingerprint"]],
    ["seeds of the weights", flat(from.seeds)],
    ["seeds of the batches", flat(from["data seeds"])],
    ["trained with", versions || "–"],
    ["page written by", `aero-search ${from.version}`],
    ["asked prices", `protocol ${data.protocol}, network ${data.network}${data.target ? `, ${data.target}` : ""}`],
    ["limits", Object.entries(data.limits).map(([m, v]) => `${aero.metrics[m].name} ${aero.readable(m, v)}`).join(", ") || "none"],
  ];
  const list = (entries) => aero.make("dl", {}, ...entries.flatMap(([name, text]) => [aero.make("dt", {}, name), aero.make("dd", {}, text)]));
  aero.fill(
    "provenance", list(pairs),
    ...Object.entries(from.commands).flatMap(([name, command]) => [aero.make("h3", {}, name), aero.command(command)]),
    aero.make("details", {}, aero.make("summary", {}, "protocols and networks"), list([
      ...data.protocols.map((p) => [p.name, `${p.title}; ${p.trust}; offline phase ${p.offline}, weights ${p.weights}; machine: ${p.machine}`]),
      ...data.networks.map((n) => [n.name, `${n.bandwidth_mbps} Mbps, ${n.rtt_ms} ms${n.source ? `: ${n.source}` : ""}`]),
    ])),
    aero.make("details", {}, aero.make("summary", {}, "all settings"), list(Object.entries(from.settings).map(([name, value]) => [name, flat(value)]))),
  );
};
