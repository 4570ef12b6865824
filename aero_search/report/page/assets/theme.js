"use strict";
// Colours of the plots: Okabe and Ito's, told apart by every common kind of colour vision; shapes differ as well.
aero.kinds = {
  dominated: { symbol: "circle", size: 8, light: "#8a8f94", dark: "#8a8f94", opacity: 0.5 },
  "over a limit": { symbol: "circle-open", size: 8, light: "#8a8f94", dark: "#8a8f94", opacity: 0.7 },
  plateau: { symbol: "triangle-up", size: 9, light: "#56b4e9", dark: "#56b4e9", opacity: 1 },
  stopped: { symbol: "triangle-down", size: 9, light: "#8a8f94", dark: "#8a8f94", opacity: 0.8 },
  diverged: { symbol: "x-thin", size: 9, light: "#cc3d7a", dark: "#e87fab", opacity: 1 },
  front: { symbol: "circle", size: 11, light: "#0072b2", dark: "#56b4e9", opacity: 1 },
};

aero.dark = matchMedia("(prefers-color-scheme: dark)");
aero.printing = false;

aero.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
aero.kindColour = (kind) => aero.kinds[kind][aero.dark.matches && !aero.printing ? "dark" : "light"];

aero.layout = (extra) => {
  const ink = aero.colour("ink");
  const axis = {
    gridcolor: aero.colour("grid"), linecolor: aero.colour("line"), zeroline: false, showline: true, ticks: "",
    tickfont: { color: aero.colour("muted") }, automargin: true,
  };
  const { xaxis = {}, yaxis = {}, ...rest } = extra;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', size: 12, color: ink },
    margin: { l: 56, r: 14, t: 12, b: 48 }, showlegend: false,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: aero.colour("muted"), activecolor: ink },
    hoverlabel: { align: "left", bgcolor: aero.colour("card"), bordercolor: aero.colour("line"), font: { color: ink } },
    ...rest,
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis },
  };
};

aero.draw = (id, traces, layout) => Plotly.react(
  id, traces, aero.layout(layout),
  { displaylogo: false, responsive: true, displayModeBar: id === "front" && innerWidth > 640 ? "hover" : false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] },
);

const redraw = () => aero.change({});
aero.dark.addEventListener("change", redraw);
addEventListener("beforeprint", () => { aero.printing = true; redraw(); });
addEventListener("afterprint", () => { aero.printing = false; redraw(); });
