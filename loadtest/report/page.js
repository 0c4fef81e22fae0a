"use strict";
// Draws the figures that stand as JSON in the page, in the page's own colours, and again when those change.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const config = { displaylogo: false, responsive: true, plotlyServerURL: "", topojsonURL: "", showSendToCloud: false };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const inColours = (layout) => {
    const coloured = {
      ...layout,
      paper_bgcolor: "rgba(0, 0, 0, 0)",
      plot_bgcolor: "rgba(0, 0, 0, 0)",
      font: { color: colour("--ink"), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: { bgcolor: colour("--raised"), font: { color: colour("--ink") } },
      modebar: { color: colour("--quiet"), activecolor: colour("--ink"), bgcolor: "rgba(0, 0, 0, 0)" },
    };
    for (const axis of Object.keys(layout).filter((name) => /^[xy]axis/.test(name))) {
      coloured[axis] = { ...layout[axis], gridcolor: colour("--line"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
    }
    return coloured;
  };
  const draw = (chart) => Plotly.react(document.getElementById(chart.id), chart.data, inColours(chart.layout), config);
  // One after another, so that the page can be read and scrolled meanwhile.
  const drawFrom = (place) => {
    if (place < charts.length) {
      draw(charts[place]);
      setTimeout(drawFrom, 0, place + 1);
    }
  };
  drawFrom(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawFrom(0));
})();
