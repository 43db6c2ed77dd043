"use strict";
// Draws the regions that the page holds, finds the one under the pointer and says what it is.
const data = JSON.parse(document.getElementById("data").textContent);
const plot = document.getElementById("plot");
const [map, marks] = [document.getElementById("map"), document.getElementById("marks")];
const panel = document.getElementById("region");

function array(packed) {
  const kinds = {float64: Float64Array, int32: Int32Array, uint8: Uint8Array};
  const text = atob(packed.data), raw = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) raw[k] = text.charCodeAt(k);
  return new kinds[packed.type](raw.buffer);
}

const flat = data.dimension === 2;
const [points, offsets, patterns] = [array(data.points), array(data.offsets), array(data.patterns)];
const [weights, biases, sizes] = [array(data.weights), array(data.biases), array(data.sizes)];
const [first, second, groups] = [array(data.first), array(data.second), array(data.groups)];
const n = offsets.length - 1;
const nNeurons = data.widths.reduce((a, b) => a + b, 0);
const bytes = n ? patterns.length / n : 0;

// --- what is known of a region

const active = (i, j) => patterns[i * bytes + (j >> 3)] >> (j & 7) & 1;

function pattern(i) {
  let j = 0;
  return data.widths.map((width, k) => `${k + 1}: ${Array.from({length: width}, () => active(i, j++)).join("")}`);
}

// The neighbours of region i are around.slice(from[i], from[i + 1]).
const [from, around] = (() => {
  const from = new Int32Array(n + 2);
  for (const ends of [first, second]) for (const i of ends) from[i + 2]++;
  for (let i = 0; i <= n; i++) from[i + 1] += from[i];
  const around = new Int32Array(2 * first.length);
  first.forEach((i, k) => { around[from[i + 1]++] = second[k]; around[from[second[k] + 1]++] = i; });
  return [from, around];
})();
const neighbours = i => Array.from(around.subarray(from[i], from[i + 1])).sort((a, b) => a - b);

function flips(i, k) {
  const found = [];
  data.widths.reduce((begin, width, layer) => {
    for (let j = 0; j < width; j++) if (active(i, begin + j) !== active(k, begin + j)) found.push(`${layer + 1}.${j + 1}`);
    return begin + width;
  }, 0);
  return found.join(" ");
}

const digits = x => Number.isFinite(x) ? String(Number(x.toPrecision(6))) : "∞";
const signed = x => (x < 0 ? "- " : "+ ") + digits(Math.abs(x));

function affineMap(i) {
  const m = data.n_outputs, d = data.dimension;
  return Array.from({length: m}, (_, k) => {
    const terms = Array.from({length: d}, (_, j) => `${signed(weights[(i * m + k) * d + j])} x${j + 1}`);
    return `y${m > 1 ? k + 1 : ""} = ${terms.join(" ")} ${signed(biases[i * m + k])}`;
  });
}

// What the panel says of region i, a heading and lines for each part.
function describe(i) {
  const near = neighbours(i);
  return {
    "activation pattern, by layer": pattern(i),
    "affine map": affineMap(i),
    [flat ? "area" : "volume"]: [digits(sizes[i])],
    [`${near.length} neighbours (layer.neuron that flips, counted from 1)`]: [near.map(k => `${k} (${flips(i, k)})`).join(", ")],
  };
}

function show(i) {
  const title = document.createElement("h2");
  title.textContent = `Region ${i}`;
  panel.replaceChildren(title);
  for (const [heading, lines] of Object.entries(describe(i))) {
    panel.append(Object.assign(document.createElement("h3"), {textContent: heading}));
    for (const line of lines) {
      const text = document.createElement("p");
      text.append(Object.assign(document.createElement("code"), {textContent: line}));
      panel.append(text);
    }
  }
}

// --- the region that a point of the plane lies in: a grid, in whose fields stand the polygons that may reach there

const locate = flat ? locator() : null;

function locator() {
  const side = Math.max(1, Math.ceil(Math.sqrt(n)));
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k < points.length; k += 2) {
    x0 = Math.min(x0, points[k]); x1 = Math.max(x1, points[k]);
    y0 = Math.min(y0, points[k + 1]); y1 = Math.max(y1, points[k + 1]);
  }
  const field = (t, low, high) => Math.min(side - 1, Math.max(0, Math.floor((t - low) / (high - low) * side)));
  const start = new Int32Array(side * side + 2);
  let inField = null;
  const visit = each => {
    for (let i = 0; i < n; i++) {
      let [a0, b0, a1, b1] = [Infinity, Infinity, -Infinity, -Infinity];
      for (let k = offsets[i]; k < offsets[i + 1]; k++) {
        a0 = Math.min(a0, points[2 * k]); a1 = Math.max(a1, points[2 * k]);
        b0 = Math.min(b0, points[2 * k + 1]); b1 = Math.max(b1, points[2 * k + 1]);
      }
      if (a0 > a1) continue;
      const [l, r, low, high] = [field(a0, x0, x1), field(a1, x0, x1), field(b0, y0, y1), field(b1, y0, y1)];
      for (let v = low; v <= high; v++) for (let u = l; u <= r; u++) each(i, v * side + u);
    }
  };
  visit((i, at) => start[at + 2]++);
  for (let k = 0; k <= side * side; k++) start[k + 1] += start[k];
  inField = new Int32Array(start[side * side + 1]);
  visit((i, at) => { inField[start[at + 1]++] = i; });
  return (x, y) => {
    if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1)) return null;
    const at = field(y, y0, y1) * side + field(x, x0, x1);
    for (let k = start[at]; k < start[at + 1]; k++) if (holds(inField[k], x, y)) return inField[k];
    return null;
  };
}

function holds(i, x, y) {
  for (let k = offsets[i], last = offsets[i + 1] - 1; k < offsets[i + 1]; last = k++) {
    const [ax, ay, bx, by] = [points[2 * last], points[2 * last + 1], points[2 * k], points[2 * k + 1]];
    if ((bx - ax) * (y - ay) - (by - ay) * (x - ax) < 0) return false;
  }
  return true;
}

// --- the plane: Plotly draws the axes, legend and slider; polygons and lines go on a canvas below it, which redraws tens
// of thousands of them while the map moves

// Where the map is shown: places of the window of a point, and back.
function frame() {
  const {xaxis, yaxis} = plot._fullLayout;
  const [[x0, x1], [y0, y1]] = [xaxis.range, yaxis.range].map(range => range.map(Number));
  const [left, top, width, height] = [xaxis._offset, yaxis._offset, xaxis._length, yaxis._length];
  return {
    left, top, width, height, x0, x1, y0, y1,
    u: x => left + (x - x0) / (x1 - x0) * width, v: y => top + (y1 - y) / (y1 - y0) * height,
    x: u => x0 + (u - left) / width * (x1 - x0), y: v => y1 - (v - top) / height * (y1 - y0),
  };
}

// A clean canvas, to be drawn on in the places of the window, where the map is; `density` is pixels for each of these.
function cleaned(canvas, at, density = window.devicePixelRatio || 1) {
  const {width, height} = plot.getBoundingClientRect();
  [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.scale(density, density);
  context.beginPath();
  context.rect(at.left, at.top, at.width, at.height);
  context.clip();
  context.lineJoin = context.lineCap = "round";
  return context;
}

function outline(context, at, corners, begin, end) {
  for (let k = begin; k < end; k++) {
    const [u, v] = [at.u(corners[2 * k]), at.v(corners[2 * k + 1])];
    if (k === begin) context.moveTo(u, v); else context.lineTo(u, v);
  }
  context.closePath();
}

// Fills polygons, some at a time: a path of very many is slow. A line of their own colour hides the seams between them.
function fillPolygons(context, at, corners, ends, members, colour) {
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [colour, colour, 0.7];
  for (let from = 0; from < members.length; from += 64) {
    context.beginPath();
    for (const i of members.slice(from, from + 64)) outline(context, at, corners, ends[i], ends[i + 1]);
    context.fill();
    context.stroke();
  }
}

function drawSegments(context, at, ends, {color, width}) {
  [context.strokeStyle, context.lineWidth] = [color, width];
  for (let from = 0; from < ends.length; from += 1024) {
    context.beginPath();
    for (let k = from; k < Math.min(from + 1024, ends.length); k += 4) {
      context.moveTo(at.u(ends[k]), at.v(ends[k + 1]));
      context.lineTo(at.u(ends[k + 2]), at.v(ends[k + 3]));
    }
    context.stroke();
  }
}

function membersByGroup() {
  const members = data.colours.map(() => []);
  groups.forEach((group, i) => { if (offsets[i + 1] > offsets[i]) members[group].push(i); });
  return members;
}

// For each trace: what Plotly needs for its legend, and what is drawn if it is switched on.
function flatTraces() {
  const entry = (look, draw) => ({x: [null], y: [null], type: "scatter", hoverinfo: "skip", ...look, draw});
  const square = (name, color) => ({mode: "markers", marker: {symbol: "square", size: 11, color}, name});
  const fills = data.classes
    ? data.classes.map(part => {
        const [corners, ends] = [array(part.points), array(part.offsets)];
        const all = [...Array(ends.length - 1).keys()].filter(i => ends[i + 1] > ends[i]);
        return entry(square(part.name, part.colour), (context, at) => fillPolygons(context, at, corners, ends, all, part.colour));
      })
    : membersByGroup().map((members, k) => entry({showlegend: false}, (context, at) =>
        fillPolygons(context, at, points, offsets, members, data.colours[k])));
  const line = (name, segments, look) => {
    const ends = array(segments);
    return entry({mode: "lines", name, line: look}, (context, at) => drawSegments(context, at, ends, look));
  };
  const lines = data.layers.map(layer => line(layer.name, layer.segments, {color: layer.colour, width: layer.width}));
  const others = data.boundary ? [line("decision boundary", data.boundary, {color: "black", width: 3})] : [];
  return {fills, lines, others};
}

// --- space

const faces = flat ? null : {corners: array(data.corners), starts: array(data.starts), from: array(data.face_offsets)};

// Faces as triangles of the points `shown`, of which `vertex` says where a corner stands.
function triangles(members, vertex) {
  let [count, n] = [0, 0];
  for (const face of members) count += faces.starts[face + 1] - faces.starts[face] - 2;
  const [i, j, k] = [0, 1, 2].map(() => new Int32Array(count));
  for (const face of members) {
    const [begin, end] = [faces.starts[face], faces.starts[face + 1]];
    for (let at = begin + 1; at < end - 1; at++, n++) {
      [i[n], j[n], k[n]] = [vertex(faces.corners[begin]), vertex(faces.corners[at]), vertex(faces.corners[at + 1])];
    }
  }
  return {i, j, k};
}

function mesh(shown, sides, look) {
  const column = k => Float64Array.from({length: shown.length / 3}, (_, at) => shown[3 * at + k]);
  return {
    x: column(0), y: column(1), z: column(2), ...sides, type: "mesh3d", flatshading: true, hoverinfo: "none",
    lighting: {ambient: 0.75, diffuse: 0.5, specular: 0.05, fresnel: 0}, lightposition: {x: 1e4, y: -2e4, z: 3e4}, ...look,
  };
}

function shrunk() {
  const shown = new Float64Array(points.length);
  for (let i = 0; i < n; i++) {
    const count = offsets[i + 1] - offsets[i];
    for (let c = 0; c < 3; c++) {
      let centre = 0;
      for (let k = offsets[i]; k < offsets[i + 1]; k++) centre += points[3 * k + c] / count;
      for (let k = offsets[i]; k < offsets[i + 1]; k++) {
        shown[3 * k + c] = centre + (1 - data.shrink) * (points[3 * k + c] - centre);
      }
    }
  }
  return shown;
}

function solidTraces() {
  const number = new Float64Array(points.length / 3);
  for (let i = 0; i < n; i++) number.fill(groups[i], offsets[i], offsets[i + 1]);
  const many = data.colours.length;
  const scale = data.colours.flatMap((colour, k) => [[k / many, colour], [(k + 1) / many, colour]]);
  const all = triangles([...Array(faces.starts.length - 1).keys()], k => k);
  const solid = mesh(shrunk(), all, {
    intensity: number, colorscale: scale, cmin: -0.5, cmax: many - 0.5, showscale: false, name: "regions", showlegend: true,
  });
  const surfaces = data.layers.map(layer => {
    // The corners of these faces only.
    const members = array(layer.faces), place = new Map(), shown = [];
    const sides = triangles(members, k => {
      if (!place.has(k)) { place.set(k, place.size); shown.push(points[3 * k], points[3 * k + 1], points[3 * k + 2]); }
      return place.get(k);
    });
    return mesh(shown, sides, {
      color: layer.colour, opacity: 0.6, name: layer.name, showlegend: true, hoverinfo: "skip", visible: "legendonly",
    });
  });
  return {fills: [solid], lines: surfaces, others: []};
}

const {fills, lines, others} = flat ? flatTraces() : solidTraces();
const scale = data.colour_scale ? [{
  ...(flat ? {type: "scatter", x: [null], y: [null]} : {type: "scatter3d", x: [null], y: [null], z: [null]}),
  mode: "markers", hoverinfo: "skip", showlegend: false,
  marker: {
    color: [data.colour_scale.low], cmin: data.colour_scale.low, cmax: data.colour_scale.high, showscale: true,
    colorscale: data.colours.slice(0, data.colour_scale.steps).map((colour, k) => [k / (data.colour_scale.steps - 1), colour]),
    colorbar: {
      title: {text: data.colour_scale.label, side: "right"}, thickness: 14,
      ...(data.colour_scale.ticks ? {tickvals: data.colour_scale.ticks[0], ticktext: data.colour_scale.ticks[1]} : {}),
    },
  },
}] : [];
const traces = [...fills, ...lines, ...others, ...scale];

// --- layers, one after the other

const hasBeen = flat ? [] : [0];
const indices = [...hasBeen, ...lines.map((_, k) => fills.length + k)];
const steps = [...Array(lines.length + 1).keys()].map(last => ({
  label: last === 0 ? (flat ? "none" : "regions") : last === 1 ? "layer 1" : `layers 1–${last}`,
  method: "restyle",
  args: [{visible: [...hasBeen.map(() => last ? "legendonly" : true), ...lines.map((_, k) => k < last ? true : "legendonly")]}, indices],
}));
const layout = {
  margin: {l: 60, r: 20, t: 40, b: 20}, hovermode: flat ? false : "closest", dragmode: flat ? "pan" : "orbit",
  legend: {orientation: "h", x: 0, y: 1.01, yanchor: "bottom"}, showlegend: true,
  modebar: {bgcolor: "rgba(0, 0, 0, 0)", color: "#aaa", activecolor: "#555"},
  sliders: lines.length ? [{
    active: flat ? lines.length : 0, steps, pad: {t: flat ? 40 : 10}, len: 0.6, x: 0,
    currentvalue: {prefix: flat ? "bent hyperplanes: " : "shown: "}, transition: {duration: 0},
  }] : [],
};
if (flat) {
  const [x0, x1, y0, y1] = data.view;
  layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0, 0, 0, 0)";
  layout.xaxis = {title: {text: "x<sub>1</sub>", standoff: 8}, range: [x0, x1], constrain: "domain", showgrid: false, zeroline: false};
  layout.yaxis = {
    title: {text: "x<sub>2</sub>"}, range: [y0, y1], ...(data.to_scale ? {scaleanchor: "x"} : {}), constrain: "domain", showgrid: false, zeroline: false,
  };
} else {
  const axis = k => ({title: {text: `x<sub>${k}</sub>`}, showspikes: false});
  layout.scene = {xaxis: axis(1), yaxis: axis(2), zaxis: axis(3), aspectmode: "data", camera: {eye: {x: 1.5, y: 1.5, z: 1}}};
}

// --- the region under the pointer

let highlighted = null;

function highlight(i) {
  if (i === highlighted) return;
  highlighted = i;
  if (i !== null) show(i);
  drawMarks();
}

function drawTraces(canvas, density) {
  const at = frame(), context = cleaned(canvas, at, density);
  traces.forEach((trace, k) => { if (trace.draw && plot._fullData[k].visible === true) trace.draw(context, at); });
}

function drawMap() {
  drawTraces(map);
  drawFlat();
}

// The map as it is shown, as the address of a PNG: what is on the canvas, and over it Plotly's axes and legend. What is
// below the title of the axis, the slider, is cut off.
async function picture(density = 3) {
  const {width, height} = plot.getBoundingClientRect();
  const [cells, whole, axes] = [document.createElement("canvas"), document.createElement("canvas"), new Image()];
  drawTraces(cells, density);
  axes.src = await Plotly.toImage(plot, {format: "png", width, height, scale: density});
  await axes.decode();
  const {top, height: side} = frame();
  [whole.width, whole.height] = [cells.width, Math.min(cells.height, Math.round((top + side + 45) * density))];
  const context = whole.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, whole.width, whole.height);
  for (const part of [cells, axes]) context.drawImage(part, 0, 0, cells.width, cells.height);
  return whole.toDataURL("image/png");
}

const save = {
  name: "picture", title: "Download picture as PNG", icon: Plotly.Icons.camera,
  click: async () => Object.assign(document.createElement("a"), {href: await picture(), download: "regions.png"}).click(),
};

function drawFlat() {
  const at = frame(), context = cleaned(marks, at);
  if (highlighted === null) return;
  const looks = [[neighbours(highlighted), "rgba(0, 0, 0, 0.12)", "#333", 1], [[highlighted], "rgba(255, 255, 255, 0.55)", "black", 3]];
  for (const [members, fill, stroke, width] of looks) {
    context.beginPath();
    for (const i of members) outline(context, at, points, offsets[i], offsets[i + 1]);
    [context.fillStyle, context.strokeStyle, context.lineWidth] = [fill, stroke, width];
    context.fill();
    context.stroke();
  }
}

// The edges of the region under the pointer and of its neighbours, on a canvas above the scene: a trace of Plotly's would
// send all polyhedra to the graphics card again.
function drawSolid() {
  const {width, height} = plot.getBoundingClientRect();
  const context = cleaned(marks, {left: 0, top: 0, width, height});
  if (highlighted === null) return;
  const scene = plot._fullLayout.scene._scene, [box, own] = [scene.container, plot].map(each => each.getBoundingClientRect());
  const {model, view, projection} = scene.glplot.cameraParams;
  const times = (m, v) => [0, 1, 2, 3].map(r => m[r] * v[0] + m[4 + r] * v[1] + m[8 + r] * v[2] + m[12 + r] * v[3]);
  const place = k => {
    const point = [...[0, 1, 2].map(c => points[3 * k + c] * scene.dataScale[c]), 1];
    const [x, y, , w] = times(projection, times(view, times(model, point)));
    return [box.left - own.left + (1 + x / w) / 2 * box.width, box.top - own.top + (1 - y / w) / 2 * box.height];
  };
  for (const [members, stroke, lineWidth] of [[neighbours(highlighted), "rgba(0, 0, 0, 0.4)", 1], [[highlighted], "black", 2.5]]) {
    context.beginPath();
    for (const i of members) {
      for (let face = faces.from[i]; face < faces.from[i + 1]; face++) {
        faces.corners.subarray(faces.starts[face], faces.starts[face + 1])
          .forEach((k, at) => at ? context.lineTo(...place(k)) : context.moveTo(...place(k)));
        context.closePath();
      }
    }
    [context.strokeStyle, context.lineWidth] = [stroke, lineWidth];
    context.stroke();
  }
}

// The region of a corner of the polyhedra.
function regionOfCorner(k) {
  let [low, high] = [0, n];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (offsets[middle] <= k) low = middle; else high = middle;
  }
  return low;
}

// A call that draws once for each frame, however often it is called.
function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
}

const drawMarks = oncePerFrame(() => (flat ? drawFlat : drawSolid)());

const ready = Plotly.newPlot(plot, traces.map(({draw, ...trace}) => trace), layout, {
  responsive: true, displaylogo: false, scrollZoom: true,
  // Plotly would save the map without what is on the canvas, and send it to a server.
  modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d", ...(flat ? ["toImage"] : [])],
  modeBarButtonsToAdd: flat ? [save] : [],
}).then(() => {
  if (flat) {
    drawMap();
    const redraw = oncePerFrame(drawMap);
    for (const change of ["plotly_relayouting", "plotly_afterplot"]) plot.on(change, redraw);
    plot.addEventListener("mousemove", event => {
      const box = plot.getBoundingClientRect(), at = frame();
      const [u, v] = [event.clientX - box.left, event.clientY - box.top];
      const inside = u >= at.left && v >= at.top && u <= at.left + at.width && v <= at.top + at.height;
      highlight(inside ? locate(at.x(u), at.y(v)) : null);
    });
    plot.addEventListener("mouseleave", () => highlight(null));
  } else {
    plot.on("plotly_hover", event => {
      const point = event.points[0];
      if (point.curveNumber === 0) highlight(regionOfCorner(point.pointNumber));
    });
    for (const change of ["plotly_relayouting", "plotly_relayout", "plotly_afterplot"]) plot.on(change, drawMarks);
  }
});
// For tests and the console.
window.tropnet = {ready, describe, locate, neighbours, frame, picture, highlighted: () => highlighted};
