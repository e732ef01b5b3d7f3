// Draws the drills' times against the manual's targets. Without it, the table below says the same.
"use strict";

(function () {
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function told(seconds) {
    if (seconds === null || seconds === undefined) return "";
    for (const [size, unit] of UNITS) {
      if (seconds >= size) return Math.round((seconds / size) * 10) / 10 + " " + unit;
    }
    return Math.max(1, Math.round(seconds * 1000)) + " ms";
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Marks at times that people speak of; on the logarithm's own they would be 1.7 min and 16.7 min.
  const MARKS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400];

  function clock(times) {
    const days = times.length > 1 && times[times.length - 1] - times[0] > 2 * 86400;
    return times.map((one) => new Date(one * 1000).toISOString().slice(...(days ? [5, 10] : [11, 16])));
  }

  function draw(place) {
    const chart = JSON.parse(place.dataset.chart);
    const least = 0.001; // a logarithm has no zero
    const values = chart.values.map((one) => Math.max(one, least));
    const lines = [chart.times, values];
    const series = [
      {},
      { label: "measured", stroke: colour("--pico-primary"), width: 2, points: { show: true, size: 7 }, value: (_, v) => told(v) },
    ];
    if (chart.target !== null) {
      lines.push(chart.times.map(() => chart.target));
      series.push({ label: "target", stroke: colour("--bad"), width: 2, dash: [6, 4], points: { show: false }, value: (_, v) => told(v) });
    }
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const ends = [chart.times[0], chart.times[chart.times.length - 1]];
    const margin = Math.max((ends[1] - ends[0]) * 0.04, 30);
    const highest = Math.max(...values, chart.target || 0) * 2;
    const lowest = Math.min(...values, chart.target || Infinity) / 2;
    for (const old of place.querySelectorAll(".uplot")) old.remove();
    return new uPlot(
      {
        width: Math.max(place.clientWidth, 240),
        height: 200,
        series: series,
        scales: { x: { time: true, range: () => [ends[0] - margin, ends[1] + margin] }, y: { distr: 3, range: () => [lowest, highest] } },
        axes: [
          Object.assign({ space: 70, values: (_, all) => clock(all) }, axis),
          Object.assign({ size: 70, splits: () => MARKS.filter((one) => one >= lowest && one <= highest), values: (_, all) => all.map(told), filter: (_, all) => all }, axis),
        ],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        cursor: { show: false },
        legend: { live: false },
      },
      lines,
      place,
    );
  }

  function drawAll() {
    if (typeof uPlot === "undefined") return;
    const places = document.querySelectorAll("[data-chart]");
    for (const place of places) place.hidden = false; // all of them first: how wide one is depends on the others
    for (const place of places) draw(place);
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  window.addEventListener("resize", function () {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
})();
