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

  // What the x axis says: no two marks say the same. increment: seconds from one mark to the next.
  function clock(times, increment) {
    const all = times.map((one) => new Date(one * 1000).toISOString());
    const days = new Set(all.map((one) => one.slice(0, 10)));
    const years = new Set(all.map((one) => one.slice(0, 4)));
    const date = years.size > 1 ? 0 : 5;
    if (increment >= 86400) return unlike(all.map((one) => one.slice(date, 10)));
    const end = increment < 60 ? 19 : 16;
    if (days.size === 1) return unlike(all.map((one) => one.slice(11, end)));
    return unlike(all.map((one) => one.slice(date, end).replace("T", " ")));
  }

  function unlike(labels) {
    return labels.map((one, number) => (number > 0 && one === labels[number - 1] ? "" : one));
  }

  function draw(place) {
    const chart = JSON.parse(place.dataset.chart);
    const least = 0.001; // a logarithm has no zero
    const values = chart.values.map((one) => Math.max(one, least));
    const ends = [chart.times[0], chart.times[chart.times.length - 1]];
    const margin = Math.max((ends[1] - ends[0]) * 0.04, 30);
    // A mark on either edge where nothing was measured, so that the target is a line across all of it, also for one drill.
    const edges = [ends[0] - margin, ends[1] + margin];
    const lines = [[edges[0], ...chart.times, edges[1]], [null, ...values, null]];
    const series = [
      {},
      { label: "measured", stroke: colour("--pico-primary"), width: 2, points: { show: true, size: 7, fill: colour("--pico-primary") }, value: (_, v) => told(v) },
    ];
    if (chart.target !== null) {
      lines.push(lines[0].map(() => chart.target));
      series.push({ label: "target " + told(chart.target), stroke: colour("--bad"), width: 2, dash: [6, 4], points: { show: false }, value: (_, v) => told(v) });
    }
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const highest = Math.max(...values, chart.target || 0) * 2;
    const lowest = Math.min(...values, chart.target || Infinity) / 2;
    for (const old of place.querySelectorAll(".uplot")) old.remove();
    return new uPlot(
      {
        width: Math.max(place.clientWidth, 240),
        height: 200,
        series: series,
        scales: { x: { time: true, range: () => edges }, y: { distr: 3, range: () => [lowest, highest] } },
        axes: [
          Object.assign({ space: 110, values: (_, all, __, ___, increment) => clock(all, increment) }, axis),
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

  window.tabsyncCharts = { told: told, colour: colour, clock: clock };

  document.addEventListener("DOMContentLoaded", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  window.addEventListener("resize", function () {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
})();
