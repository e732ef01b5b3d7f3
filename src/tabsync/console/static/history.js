// Draws a metric over time: its lines with their gaps, its bounds, and what happened meanwhile. Without it, the table
// below says how it stands now, and the commands say the rest.
"use strict";

(function () {
  const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];
  const COUNTS = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]];
  const BYTE_STEPS = Array.from({ length: 51 }, (_, number) => Math.pow(2, number));
  const TIME_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000];
  const BANDS = 3; // lines that have a band: more of them would hide one another
  const FAR = 4; // a bound that is so many times higher than all values would press them into one line

  function short(value) {
    return String(Math.round(value * 100) / 100);
  }

  function bytes(value) {
    let unit = 0;
    while (Math.abs(value) >= 1024 && unit < BYTES.length - 1) {
      value /= 1024;
      unit += 1;
    }
    return short(value) + " " + BYTES[unit];
  }

  function count(value) {
    for (const [size, letter] of COUNTS) {
      if (Math.abs(value) >= size) return short(value / (letter === "k" ? 1000 : size)) + " " + letter;
    }
    return short(value);
  }

  function seconds(value) {
    if (value === 0) return "0";
    return (value < 0 ? "-" : "") + tabsyncCharts.told(Math.abs(value));
  }

  function words(unit) {
    const plain = { bytes: bytes, seconds: seconds, percent: (value) => short(value) + " %" }[unit.kind] || count;
    return (value) => (value === null || value === undefined ? "" : plain(value) + (unit.per ? "/" + unit.per : ""));
  }

  function dip(colour, share) {
    return colour + Math.round(share * 255).toString(16).padStart(2, "0");
  }

  // From where to where the values are shown: from zero, unless they are far from it; with the bounds that are near.
  function rangeOf(chart) {
    const all = chart.lines.flatMap((line) => [...line.low, ...line.high]).filter((one) => one !== null);
    let low = Math.min(...all);
    let high = Math.max(...all);
    if (low >= 0 && low < high * 0.6) low = 0;
    for (const bound of chart.bounds) {
      if (bound.value > high && bound.value <= Math.max(high, 1e-9) * FAR) high = bound.value;
      if (bound.value < low && bound.value * FAR >= low) low = bound.value;
    }
    if (low === high) {
      high = low + (Math.abs(low) || 1) * 0.5;
      low -= low === 0 ? 0 : Math.abs(low) * 0.5;
    }
    const margin = (high - low) * 0.06;
    return [low === 0 ? 0 : low - margin, high + margin];
  }

  function drawMarks(u, chart, colour) {
    const box = u.bbox;
    const context = u.ctx;
    const scale = devicePixelRatio;
    context.save();
    let numbered = -Infinity;
    for (const mark of chart.marks) {
      const tone = { restart: "--bad", run: "--pico-primary" }[mark.kind] || "--dim";
      const from = Math.max(u.valToPos(mark.at, "x", true), box.left);
      const until = mark.until === null ? from : Math.min(u.valToPos(mark.until, "x", true), box.left + box.width);
      if (until - from > 2 * scale) {
        context.fillStyle = dip(colour(tone), mark.kind === "window" ? 0.16 : 0.1);
        context.fillRect(from, box.top, until - from, box.height);
      }
      context.strokeStyle = dip(colour(tone), 0.7);
      context.lineWidth = scale;
      context.setLineDash(mark.kind === "manual" ? [2 * scale, 3 * scale] : []);
      context.beginPath();
      context.moveTo(from, box.top);
      context.lineTo(from, box.top + box.height);
      context.stroke();
      if (from - numbered > 14 * scale) {
        numbered = from; // two numbers on one another are none
        context.fillStyle = colour(tone);
        context.font = 11 * scale + "px sans-serif";
        context.textAlign = "center";
        context.textBaseline = "bottom";
        context.fillText(String(mark.number), from, box.top - 2 * scale);
      }
    }
    context.restore();
  }

  function drawBounds(u, chart, colour) {
    const box = u.bbox;
    const context = u.ctx;
    const scale = devicePixelRatio;
    context.save();
    context.font = 12 * scale + "px sans-serif";
    context.textAlign = "right";
    context.textBaseline = "bottom";
    const high = 14 * scale; // of a line of text
    const taken = []; // where texts end: none stands on another
    for (const bound of chart.bounds) {
      const tone = colour(bound.level === "critical" ? "--bad" : "--warn");
      const place = u.valToPos(bound.value, "y", true);
      const above = place < box.top;
      const inside = !above && place <= box.top + box.height;
      context.strokeStyle = context.fillStyle = tone;
      if (inside) {
        context.lineWidth = 1.5 * scale;
        context.setLineDash(bound.level === "critical" ? [] : [7 * scale, 4 * scale]);
        context.beginPath();
        context.moveTo(box.left, place);
        context.lineTo(box.left + box.width, place);
        context.stroke();
      }
      let at = inside ? place - 2 * scale : above ? box.top + high : box.top + box.height - 2 * scale;
      at = Math.max(at, box.top + high - 2 * scale);
      while (taken.some((one) => Math.abs(one - at) < high)) at += high;
      taken.push(at);
      const text = (inside ? "" : above ? "↑ " : "↓ ") + bound.level + " " + bound.text;
      const right = box.left + box.width - 4 * scale;
      context.globalAlpha = 0.8; // a sheet behind it: it is read also where lines pass
      context.fillStyle = colour("--pico-background-color");
      const wide = context.measureText(text).width;
      context.fillRect(right - wide - 2 * scale, at - high + scale, wide + 4 * scale, high - scale);
      context.globalAlpha = 1;
      context.fillStyle = tone;
      context.fillText(text, right, at);
    }
    context.restore();
  }

  function under(u, chart, told, text) {
    const place = u.cursor.idx;
    if (place === null || place === undefined) {
      text.textContent = "\u00a0";
      return;
    }
    const parts = [];
    chart.lines.forEach(function (line, number) {
      const [mean, low, high] = [1, 2, 3].map((one) => u.data[number * 3 + one][place]);
      if (mean === null || mean === undefined) return;
      const name = chart.lines.length > 1 ? line.label + ": " : "";
      parts.push(name + told(mean) + (low === high ? "" : " (" + told(low) + " to " + told(high) + ")"));
    });
    const at = new Date(u.data[0][place] * 1000).toISOString().slice(0, 16).replace("T", " ");
    text.textContent = at + " UTC: " + (parts.join(", ") || "not measured");
  }

  function draw(figure) {
    const chart = JSON.parse(figure.dataset.history);
    const place = figure.querySelector(".place");
    const text = figure.querySelector(".told");
    const colour = tabsyncCharts.colour;
    const told = words(chart.unit);
    const banded = chart.lines.length <= BANDS;
    const series = [{}];
    const bands = [];
    chart.lines.forEach(function (line, number) {
      const tone = colour("--line-" + (number + 1));
      const alone = line.mean.filter((one) => one !== null).length < 60;
      series.push({ label: line.label, stroke: tone, width: 1.75, points: alone ? { show: true, size: 4, fill: tone } : {} });
      series.push({ points: { show: false } }, { points: { show: false } });
      if (banded) bands.push({ series: [number * 3 + 3, number * 3 + 2], fill: dip(tone, 0.18) });
    });
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const steps = { bytes: { incrs: BYTE_STEPS }, seconds: { incrs: TIME_STEPS } }[chart.unit.kind] || {};
    const range = rangeOf(chart);
    for (const old of place.querySelectorAll(".uplot")) old.remove();
    return new uPlot(
      {
        width: Math.max(place.clientWidth, 240),
        height: innerWidth < 640 ? 240 : 300,
        padding: [chart.marks.length ? 18 : 10, 12, 0, 0],
        series: series,
        bands: bands,
        scales: { x: { time: true, range: () => [chart.from, chart.until] }, y: { range: () => range } },
        axes: [
          Object.assign({ space: 90, values: (_, all, __, ___, increment) => tabsyncCharts.clock(all, increment) }, axis),
          Object.assign({ size: 76, values: (_, all) => all.map(told) }, steps, axis),
        ],
        tzDate: (moment) => uPlot.tzDate(new Date(moment * 1000), "Etc/UTC"),
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        legend: { show: false },
        hooks: {
          drawClear: [(u) => drawMarks(u, chart, colour)],
          draw: [(u) => drawBounds(u, chart, colour)],
          setCursor: [(u) => under(u, chart, told, text)],
        },
      },
      uPlot.join(chart.lines.map((line) => [line.at, line.mean, line.low, line.high])),
      place,
    );
  }

  function drawAll() {
    if (typeof uPlot === "undefined") return;
    for (const figure of document.querySelectorAll("[data-history]")) {
      figure.hidden = false;
      draw(figure);
    }
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  window.addEventListener("resize", function () {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
})();
