"use strict";
// Puts the page together, once all scripts are there.
const describe = () => {
  const { data } = aero;
  const count = (state) => data.candidates.filter((c) => c.state === state).length;
  const parts = [`${data.candidates.length} candidates`, ...["running", "plateau", "stopped", "diverged"].filter(count).map((state) => `${count(state)} ${state === "plateau" ? "on the unigram plateau" : state}`)];
  const sizes = data.sizes ? ` ${data.sizes[0].toUpperCase()}${data.sizes.slice(1)}.` : "";
  aero.get("summary").textContent = `${parts.join(", ")}; kept small: ${data.metrics.map((name) => aero.metrics[name].name).join(", ")}.${sizes}`;
};

aero.setUp();
describe();
aero.setUpSystems();
aero.showProvenance();
aero.explainOnHover();
chooseNetwork(aero.data.network);
