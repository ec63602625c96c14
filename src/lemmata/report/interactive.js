// Redraws the map and the curve of a page from the numbers inside it. Mirrors cells.py beside it.
const view = data.views[variable.value];
const dims = view.dims;
const strides = dims.map((_, k) => view.shape.slice(k + 1).reduce((a, b) => a * b, 1));
if (!dims.includes(x.value)) x.value = dims[0];
if (!dims.includes(y.value) || y.value === x.value) y.value = dims.find((d) => d !== x.value) || "";
for (const [dim, slider] of Object.entries(sliders)) {
  slider.visible = dims.includes(dim) && dim !== x.value;
  slider.title = data.axes[dim].label + " = " + data.axes[dim].ticks[slider.value] +
    (dim === y.value ? " (for the curve)" : "");
}
const at = (i, j) => dims.reduce((sum, dim, k) => {
  const index = dim === x.value ? i : dim === y.value && j !== null ? j : sliders[dim].value;
  return sum + strides[k] * index;
}, 0);
const say = (value) => (value === null ? "missing" : Number(value.toPrecision(4)).toString());
const coloured = (value) => value === null ? NaN
  : view.log ? Math.log10(Math.max(value, Math.pow(10, view.low))) : value;
const setAxis = (axis, dim) => {
  const ticks = dim ? data.axes[dim].ticks : [""];
  const every = Math.max(1, Math.ceil(ticks.length / 12));
  const shown = ticks.map((_, k) => k).filter((k) => k % every === 0);
  axis.ticker.ticks = shown;
  axis.major_label_overrides = new Map(shown.map((k) => [k, ticks[k]]));
  axis.axis_label = dim ? data.axes[dim].label : "";
};
const nx = data.axes[x.value].ticks.length;
const ny = y.value ? data.axes[y.value].ticks.length : 1;
const columns = {x: [], y: [], value: [], mean: [], interval: [], count: [], predicted: [], x_is: [], y_is: []};
const twin = data.views[variable.value + "_predicted"];
for (let j = 0; j < ny; j++) for (let i = 0; i < nx; i++) {
  const k = at(i, y.value ? j : null), mean = view.mean[k], half = view.half[k];
  columns.x.push(i); columns.y.push(j); columns.value.push(coloured(mean)); columns.mean.push(say(mean));
  columns.interval.push(half === null ? "one seed" : "± " + say(half)); columns.count.push(view.count[k]);
  columns.predicted.push(twin && twin.dims.join() === dims.join() ? say(twin.mean[k]) : "–");
  columns.x_is.push(data.axes[x.value].label + " = " + data.axes[x.value].ticks[i]);
  columns.y_is.push(y.value ? data.axes[y.value].label + " = " + data.axes[y.value].ticks[j] : "");
}
cells.data = columns;
colours.low = view.low; colours.high = view.high; bar.title = view.label;
bar.formatter.args = {log: [view.log]};
map.x_range.start = -0.5; map.x_range.end = nx - 0.5; map.y_range.start = -0.5; map.y_range.end = ny - 0.5;
setAxis(map.below[0], x.value); setAxis(map.left[0], y.value);
const curve = {x: [], y: [], low: [], high: [], x_is: [], interval: []};
for (let i = 0; i < nx; i++) {
  const k = at(i, null), mean = view.mean[k], half = view.half[k];
  if (mean === null) continue;
  curve.x.push(i); curve.y.push(mean); curve.low.push(half === null ? mean : mean - half);
  curve.high.push(half === null ? mean : mean + half);
  curve.x_is.push(data.axes[x.value].label + " = " + data.axes[x.value].ticks[i]);
  curve.interval.push(half === null ? "one seed" : "± " + say(half));
}
points.data = curve;
setAxis(below.below[0], x.value); below.left[0].axis_label = view.label;
