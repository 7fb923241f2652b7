"use strict";
(() => {
  const $ = (id) => document.getElementById(id), data = JSON.parse($("data").textContent);
  const clock = new FrameClock(data.frames, data.duration), { events } = data;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rows = [...document.querySelectorAll("tbody tr[data-event]")], cards = [...document.querySelectorAll(".card")];
  let chosen = -1, visible = events.map((_, i) => i), player, span = null, bars = [], chart;

  // ---- player
  const withoutPicture = (text) => {
    $("video").hidden = true;
    $("no-picture").hidden = false;
    $("no-picture").textContent = text;
    use(new TimedPlayer(clock));
  };
  const use = (made) => {
    player = made;
    player.onframe = shown;
    player.onstate = () => { $("play").firstChild.data = player.playing ? "II" : "\u25B6"; };
    window.facespot = { player, clock, choose, goTo };
    if (player.ready) player.ready.then(() => shown(player.frame));
    else player.set(player.frame);
  };
  const shown = (frame) => {
    const seconds = clock.times[frame];
    $("where").textContent = `frame ${frame} \u00B7 ${seconds.toFixed(3)} s`;
    $("where").dataset.frame = frame;
    if (chart) placeHead(seconds);
    if (span && player.playing && frame >= span[1]) {
      if ($("loop").checked) player.seek(span[0]).then(() => { if (span) player.play(); });
      else { const end = span[1]; span = null; player.seek(end); }
    }
  };
  const goTo = (frame) => { span = null; return player.seek(frame); };
  const step = (n) => goTo(player.frame + n);
  const toggle = () => { if (player.playing) { span = null; player.pause(); } else player.play(); };
  const stepSize = () => Math.max(parseInt($("step").value, 10) || 5, 1);
  const playEvent = async () => {
    if (chosen < 0) return;
    const [onset, , offset] = events[chosen].frames;
    await player.seek(onset);
    span = [onset, offset];
    player.play();
  };
  const faster = (by) => {
    const options = $("speed").options;
    $("speed").selectedIndex = Math.min(Math.max($("speed").selectedIndex + by, 0), options.length - 1);
    player.setRate(Number($("speed").value));
  };

  // ---- events
  function choose(index, moment = 0) {
    chosen = index;
    rows.forEach((row, i) => row.setAttribute("aria-selected", i === index));
    bars.forEach((bar, i) => bar && bar.setAttribute("aria-pressed", i === index));
    const card = cards[index].cloneNode(true);
    $("chosen").replaceChildren(card);
    intoView(rows[index]);
    if (chart) keepInView(index);
    return goTo(events[index].frames[moment]);
  }
  // Only the table scrolls: the player stays where it is.
  const intoView = (row) => {
    const box = row.closest(".scroll"), top = row.offsetTop - row.closest("table").tHead.offsetHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
  };
  const neighbour = (by) => {
    if (!visible.length) return;
    const here = chosen >= 0 ? events[chosen].frames[0] : by > 0 ? -1 : Infinity;
    const order = by > 0 ? visible : [...visible].reverse();
    const next = order.find((i) => i !== chosen && (by > 0 ? i > chosen && events[i].frames[0] >= here : i < chosen || chosen < 0));
    if (next !== undefined) choose(next);
  };
  document.addEventListener("click", (click) => {
    const owner = click.target.closest("[data-event]");
    if (!owner) return;
    const moment = click.target.closest("[data-moment]");
    if (owner.matches("tr, .card, .bar")) choose(Number(owner.dataset.event), moment ? Number(moment.dataset.moment) : 0);
  });
  document.addEventListener("dblclick", (click) => { if (click.target.closest("tr[data-event], .bar")) playEvent(); });

  // ---- filters
  const filter = () => {
    const form = $("filters"), least = Number(form.elements.confidence.value);
    const most = form.elements.speech ? Number(form.elements.speech.value) : 1;
    form.elements.least.value = least.toFixed(2);
    if (form.elements.most) form.elements.most.value = most.toFixed(2);
    const keep = (e) => form.elements[e.type].checked && e.confidence >= least && (e.speech === null || e.speech <= most);
    visible = events.flatMap((e, i) => (keep(e) ? [i] : []));
    const set = new Set(visible);
    for (const list of [rows, cards, bars]) list.forEach((node, i) => { if (node) node.hidden = !set.has(i); });
    $("shown").textContent = `${visible.length} of ${events.length} events shown`;
    if (chart) chart.redraw(false);
  };
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("submit", (e) => e.preventDefault());

  // ---- curves and lanes
  const head = document.createElement("div");
  head.style.cssText = "position:absolute;top:0;bottom:0;width:2px;background:#d11;pointer-events:none;left:-9px";
  const placeHead = (seconds) => { head.style.left = `${chart.valToPos(seconds, "x") - 1}px`; };
  const xs = Float64Array.from({ length: data.ticks }, (_, i) => i / data.rate);
  const curve = (name) => {
    const values = Array.from(bytesOf(data.curves[name]), (v) => v / 255);
    // A gap in the line where there is no face.
    for (const [start, end] of data.faceless) {
      for (let i = Math.round(start * data.rate); i < Math.round(end * data.rate); i++) values[i] = null;
    }
    return values;
  };
  const STYLES = {
    intensity: { label: "intensity", stroke: "#39424b", fill: "rgba(90,104,117,.18)", width: 1.4 },
    macro: { label: "macro score", stroke: css("--macro"), width: 1.1 },
    micro: { label: "micro score", stroke: css("--micro"), width: 1.1 },
    speech: { label: "speech", stroke: "#009e73", width: 1.1, dash: [5, 3] },
  };
  const hatch = () => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const g = tile.getContext("2d");
    g.fillStyle = "#eceff1";
    g.fillRect(0, 0, 8, 8);
    g.strokeStyle = "#b9c0c7";
    g.lineWidth = 1.5;
    g.beginPath();
    for (const x of [-8, 0, 8]) { g.moveTo(x, 8); g.lineTo(x + 8, 0); }
    g.stroke();
    return tile;
  };
  const shade = (u) => {
    const g = u.ctx, { top, height, left, width } = u.bbox;
    const band = (start, end, fill) => {
      const a = u.valToPos(start, "x", true), b = u.valToPos(end, "x", true);
      g.fillStyle = fill;
      g.fillRect(a, top, Math.max(b - a, 1), height);
    };
    g.save();
    g.beginPath();
    g.rect(left, top, width, height);
    g.clip();
    const pattern = g.createPattern(hatch(), "repeat");
    for (const [start, end] of data.faceless) band(start, end, pattern);
    const strip = 5 * devicePixelRatio;
    g.fillStyle = css("--voice");
    for (const [start, end] of data.voice) {
      const a = u.valToPos(start, "x", true);
      g.fillRect(a, top + height - strip, Math.max(u.valToPos(end, "x", true) - a, 1), strip);
    }
    for (const i of visible) {
      const [onset, apex, offset] = events[i].seconds, colour = css(`--${events[i].type}`);
      g.globalAlpha = 0.14;
      band(onset, offset, colour);
      g.globalAlpha = 0.8;
      const x = u.valToPos(apex, "x", true);
      g.fillStyle = colour;
      g.fillRect(x - 0.5, top, 1, height);
    }
    g.restore();
  };
  const layBars = (u) => {
    const ratio = devicePixelRatio, left = u.bbox.left / ratio;
    events.forEach((e, i) => {
      const a = u.valToPos(e.seconds[0], "x"), b = u.valToPos(e.seconds[2], "x"), width = u.bbox.width / ratio;
      bars[i].style.left = `${left + Math.max(a, 0)}px`;
      const length = Math.max(Math.min(b, width) - Math.max(a, 0), 7);
      bars[i].style.width = `${length}px`;
      bars[i].textContent = length > 15 ? i + 1 : "";
      bars[i].style.visibility = b < 0 || a > width ? "hidden" : "visible";
    });
    placeHead(clock.times[player.frame]);
  };
  const zoom = (low, high) => {
    const reach = Math.max(high - low, 0.5), end = Math.max(data.duration, 0.5);
    const from = Math.min(Math.max(low, 0), Math.max(end - reach, 0));
    chart.setScale("x", { min: from, max: Math.min(from + reach, end) });
  };
  const zoomAll = () => zoom(0, data.duration);
  const zoomEvent = () => { if (chosen >= 0) zoom(events[chosen].seconds[0] - 1.5, events[chosen].seconds[2] + 1.5); };
  const keepInView = (index) => {
    const { min, max } = chart.scales.x, [onset, , offset] = events[index].seconds;
    if (onset < min || offset > max) zoom((onset + offset) / 2 - (max - min) / 2, (onset + offset) / 2 + (max - min) / 2);
  };
  const draw = () => {
    const names = Object.keys(STYLES).filter((name) => name in data.curves), lanes = $("lanes");
    for (const [i, kind] of ["macro", "micro"].entries()) {
      const name = document.createElement("span");
      name.className = "lane-name";
      name.textContent = kind;
      name.style.top = `${3 + 24 * i}px`;
      lanes.append(name);
    }
    bars = events.map((e, i) => {
      const bar = document.createElement("button");
      bar.type = "button";
      bar.className = `bar ${e.type}`;
      bar.dataset.event = i;
      bar.title = `${i + 1}: ${e.type}, ${e.seconds[0].toFixed(2)}-${e.seconds[2].toFixed(2)} s`;
      bar.setAttribute("aria-label", `Event ${i + 1}, ${e.type}, from ${e.seconds[0].toFixed(2)} seconds`);
      bar.setAttribute("aria-pressed", "false");
      lanes.append(bar);
      return bar;
    });
    const size = () => ({ width: Math.max($("chart").clientWidth, 300), height: 210 });
    chart = new uPlot({
      ...size(),
      scales: { x: { time: false, min: 0, max: data.duration }, y: { range: [0, 1.02] } },
      axes: [
        { incrs: [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600],
          values: (_, ticks) => ticks.map((t) => (data.duration > 120 ? `${Math.floor(t / 60)}:${String(+(t % 60).toFixed(1)).padStart(2, "0")}` : `${+t.toFixed(2)} s`)) },
        { size: 44, values: (_, ticks) => ticks.map((t) => String(t)) },
      ],
      series: [{ label: "time", value: (_, v) => (v === null ? "--" : `${v.toFixed(2)} s`) },
        ...names.map((name) => ({ ...STYLES[name], points: { show: false }, value: (_, v) => (v === null ? "--" : v.toFixed(2)) }))],
      cursor: { drag: { x: true, y: false } },
      legend: { live: true },
      hooks: { drawAxes: [shade], draw: [layBars] },
    }, [xs, ...names.map(curve)], $("chart"));
    chart.over.append(head);
    let pressed = null;
    chart.over.addEventListener("mousedown", (e) => { pressed = e.clientX; });
    chart.over.addEventListener("mouseup", (e) => {
      if (pressed !== null && Math.abs(e.clientX - pressed) < 4) goTo(clock.nearest(chart.posToVal(e.offsetX, "x")));
      pressed = null;
    });
    new ResizeObserver(() => chart.setSize(size())).observe($("chart"));
  };

  // ---- buttons and keys
  const buttons = {
    previous: () => neighbour(-1), next: () => neighbour(1), "step-back": () => step(-1), "step-on": () => step(1),
    back: () => step(-stepSize()), on: () => step(stepSize()), play: toggle, "play-event": playEvent,
    "zoom-event": zoomEvent, "zoom-all": zoomAll,
    keys: () => { const list = $("key-list"); list.hidden = !list.hidden; $("keys").setAttribute("aria-expanded", !list.hidden); },
  };
  for (const [id, act] of Object.entries(buttons)) $(id).addEventListener("click", act);
  $("speed").addEventListener("change", () => player.setRate(Number($("speed").value)));
  const keys = {
    " ": toggle, Enter: playEvent, n: () => neighbour(1), p: () => neighbour(-1), "?": buttons.keys,
    1: () => chosen >= 0 && choose(chosen, 0), 2: () => chosen >= 0 && choose(chosen, 1), 3: () => chosen >= 0 && choose(chosen, 2),
    "-": () => faster(-1), "+": () => faster(1), "=": () => faster(1), l: () => { $("loop").checked = !$("loop").checked; },
    z: zoomEvent, 0: zoomAll,
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest("input, select, textarea")) return;
    // Space and enter on a button press the button.
    if ((e.key === " " || e.key === "Enter") && e.target.closest("button, a, summary")) return;
    let act = keys[e.key] || keys[e.key.toLowerCase()];
    if (e.key === "ArrowLeft" || e.key === "ArrowRight") {
      const way = e.key === "ArrowLeft" ? -1 : 1;
      act = () => step(way * (e.shiftKey ? stepSize() : 1));
    }
    if (act) { e.preventDefault(); act(); }
  });

  // ---- start
  if (data.mesh) use(new MeshPlayer(clock, $("canvas"), data.mesh, data.rate));
  else if (data.copy || data.link) {
    const source = data.copy ? URL.createObjectURL(new Blob([bytesOf(data.copy)], { type: "video/mp4" })) : data.link;
    use(new VideoPlayer(clock, $("video"), source, () => withoutPicture(data.copy
      ? "This browser cannot play the copy of the video."
      : "The video cannot be played here: it has been moved, or the browser does not know its codec. A report made with --embed carries a copy that every browser plays.")));
  } else withoutPicture("No video to play: make the report with --embed to carry one.");
  delete data.copy;
  draw();
  filter();
})();
