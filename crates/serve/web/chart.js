// Lines over steps or times as SVG.

import { h } from "./dom.js";
import { number } from "./words.js";

const [WIDTH, HEIGHT] = [420, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 24, 10, 34];
/** What lies across unless something else is said: how it is called, one of it, and how a mark on the axis is written. */
const STEPS = { name: "step", one: "step", mark: String };
/** More points than this are a smear: the mean of neighbours is drawn instead. */
const MOST_POINTS = 100;

/**
 * A chart with its title, and below it what each line is and its last value.
 * `lines` are `{name, points}`, points are `[x, y]` in the order of x; `most` ends the vertical axis where it is known;
 * `x` says what lies across.
 */
export function chart({ title, unit, lines, most, x = STEPS }) {
  const drawn = lines.filter((line) => line.points.length > 0).map(thinned);
  const all = drawn.flatMap((line) => line.points);
  const across = axis(Math.max(...all.map(([at]) => at)), Math.min(...all.map(([at]) => at)));
  const up = axis(most ?? Math.max(...all.map(([, y]) => y)), 0);
  const place = ([at, y]) => [
    LEFT + across.share(at) * (WIDTH - LEFT - RIGHT),
    HEIGHT - BOTTOM - up.share(y) * (HEIGHT - TOP - BOTTOM),
  ];
  const mean = (size) => (size > 1 ? ` (mean of ${size} ${x.one}s)` : "");
  const legend = drawn.map((line) => `${line.name} ${number(line.points.at(-1)[1])}${mean(line.size)}`);
  const last = x.mark(Math.round(Math.max(...all.map(([at]) => at))));
  const label = `${title}: ${legend.join(", ")} at ${x.name} ${last}`;
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label });
  picture.append(...horizontal(up, place, across), ...vertical(across, place, up, x));
  drawn.forEach((line, index) => picture.append(...curve(line.points.map(place), index)));
  return h(
    "figure",
    {},
    h("h3", {}, title, unit && h("small", {}, unit)),
    picture,
    h("figcaption", {}, legend.map((words, index) => h("span", { class: `line line-${index}` }, words))),
  );
}

function svg(name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** Round numbers from at most `least` to at least `most`, about four of them. */
function axis(most, least) {
  const rough = (most - least || Math.abs(most) || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const first = Math.floor(least / step);
  const last = Math.max(Math.ceil((most / step) * 0.9999), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
  const share = (value) => (value - ticks[0]) / (ticks.at(-1) - ticks[0]);
  return { ticks, share };
}

function horizontal(up, place, across) {
  return up.ticks.flatMap((tick) => {
    const [[left, y], [right]] = [place([across.ticks[0], tick]), place([across.ticks.at(-1), tick])];
    return [
      svg("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
      svg("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, number(tick)),
    ];
  });
}

function vertical(across, place, up, { name, mark }) {
  const marks = across.ticks.filter(Number.isInteger).map((tick) => {
    const [x, y] = place([tick, up.ticks[0]]);
    return svg("text", { x, y: y + 16, "text-anchor": "middle" }, mark(tick));
  });
  return [...marks, svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, name)];
}

function curve(places, index) {
  const text = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const [x, y] = places.at(-1);
  return [
    svg("polyline", { class: `curve curve-${index}`, points: text }),
    svg("circle", { class: `dot dot-${index}`, cx: x.toFixed(1), cy: y.toFixed(1), r: 3 }),
  ];
}

/** A line of means of `size` neighbours. */
function thinned({ name, points }) {
  const size = Math.ceil(points.length / MOST_POINTS);
  const mean = (part, of) => part.reduce((sum, point) => sum + point[of], 0) / part.length;
  const count = Math.ceil(points.length / size);
  const parts = Array.from({ length: count }, (_, index) => points.slice(index * size, (index + 1) * size));
  return { name, size, points: parts.map((part) => [mean(part, 0), mean(part, 1)]) };
}
