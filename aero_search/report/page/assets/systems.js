"use strict";
// Systems down, points of the fronts across: a mark where a point is on the front, and in colour what it loses there.
const MARKS = new Map([[true, "●"], [false, ""], [null, "×"]]);
const SAID = new Map([[true, "on the front"], [false, "not on the front"], [null, "cannot run"]]);
const MOST_POINTS = 24;

const standing = (point, system, largest) => {
  const { on, regret } = point.by[system.name];
  // Bright loses nothing; letters in the colour that stands out against it.
  const bright = largest ? 1 - regret / largest : 1;
  const style = on === null ? null : `background:${cividis(bright)};color:${bright > 0.55 ? "#000" : "#fff"}`;
  const said = `#${point.candidate.trial} under ${system.name}: ${SAID.get(on)}, loses ${(100 * regret).toFixed(1)}%`;
  return aero.make("td", { class: "cell", style, title: said, "aria-label": said }, MARKS.get(on));
};

aero.setUpSystems = () => {
  const { systems, points } = aero.standings(aero.systems());
  aero.get("systems-section").hidden = !points.length || systems.length < 2;
  if (!points.length) return;
  const shown = points.slice(0, MOST_POINTS), best = points[0];
  const regrets = shown.flatMap((point) => systems.map((system) => point.by[system.name].regret));
  const largest = Math.max(...regrets);
  const trusts = new Set(systems.map((system) => system.trust));
  const left = points.length > MOST_POINTS ? ` The first ${MOST_POINTS} of ${points.length} points.` : "";
  aero.get("systems-note").textContent = `● on the front there, × cannot run there. Colour is what a point loses against the best single point, in hypervolume of that system: yellow nothing, dark ${(100 * largest).toFixed(1)}%. Points that lose least in the worst case come first; the figure below each is under how many of the ${systems.length} it is on the front.${left}${trusts.size > 1 ? " These prices cross trust models, so the cheaper system may promise less." : ""}`;
  aero.fill("systems-best", "Loses least in the worst case: ", aero.candidateLink(best.candidate), `, ${(100 * best.by[best.worst].regret).toFixed(1)}% (${best.worst}).`);
  const heads = shown.map((point) => aero.make("th", { scope: "col", class: "cell", title: point.candidate.notation },
    aero.make("a", { href: "#detail", class: "link", onclick: () => aero.change({ selected: point.candidate.trial }) }, `#${point.candidate.trial}`),
    aero.make("span", { class: "saving" }, ` ${point.fronts}`)));
  const rows = systems.map((system) => aero.make("tr", {},
    aero.make("th", { scope: "row", class: "system" }, system.name, aero.make("span", { class: "saving" }, ` ${system.trust.replaceAll("_", " ")}`)),
    ...shown.map((point) => standing(point, system, largest))));
  aero.fill("systems", aero.make("thead", {}, aero.make("tr", {}, aero.make("th", { scope: "col", class: "system" }, "system"), ...heads)), aero.make("tbody", {}, ...rows));
};
