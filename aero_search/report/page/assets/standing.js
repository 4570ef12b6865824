"use strict";
// The study under many systems, as aero_search/front/robust.py has it: what a point is worth under a system is the
// hypervolume that it dominates alone, and its regret what the best single point is worth more.

// Every protocol over the links that `front systems=all` looks at, and over the one that was asked for.
aero.systems = () => {
  const links = aero.data.networks.filter((n) => ["lan", "wan", aero.data.network].includes(n.name));
  return aero.data.protocols.flatMap((protocol) => (links.length ? links : aero.data.networks).map((network) => ({
    name: `${protocol.name} on ${network.name}`, trust: protocol.trust,
    protocol: protocol.name, bandwidth: network.bandwidth_mbps, rtt: network.rtt_ms,
  })));
};

// Points that are on a front somewhere, the one that loses least at worst first, each with its standing by system:
// `on` true, false, or null where the system cannot run it. Systems without a price for the baseline are left out.
aero.standings = (systems) => {
  const { data } = aero;
  const trained = data.candidates.filter((c) => c.state === "finished" && c.perplexity !== null);
  const points = trained.map((c) => ({ candidate: c, by: {} }));
  const known = [];
  for (const system of systems) {
    const baseline = aero.priceUnder(data.baseline, system);
    if (!baseline) continue;
    known.push(system);
    const priced = trained.map((c) => {
      const costs = aero.priceUnder(c, system);
      return costs && { ...c, ...costs };
    });
    const front = new Set(aero.nondominated(priced.filter(Boolean), data.metrics));
    const worth = priced.map((c) => (c ? aero.hypervolumeOf([c], baseline) : 0));
    const best = Math.max(0, ...worth);
    points.forEach((point, i) => {
      point.by[system.name] = { on: priced[i] ? front.has(priced[i]) : null, regret: best - worth[i] };
    });
  }
  const somewhere = points.filter((point) => Object.values(point.by).some(({ on }) => on));
  for (const point of somewhere) {
    point.fronts = Object.values(point.by).filter(({ on }) => on).length;
    point.worst = known.reduce((a, b) => (point.by[b.name].regret > point.by[a.name].regret ? b : a)).name;
  }
  somewhere.sort((a, b) => a.by[a.worst].regret - b.by[b.worst].regret || a.candidate.trial - b.candidate.trial);
  return { systems: known, points: somewhere };
};
