"use strict";
// The page of `spot label`. Times are source frames; `times` holds the seconds at which each is shown.
const $ = (id) => document.getElementById(id);
const player = $("player");
const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2];
const VIEW_S = 12; // seconds of the recording that the lane shows at first
const LOOP_S = 0.4; // played before and after an event that is looped
const TAP_S = { macro: 1.0, micro: 0.3 }; // length of an event that is made by a tap on a still picture

let session = null;
let number = 0; // of the recording
let times = [0];
let events = [];
let state = null;
let chosen = null; // id of the selected event
let frame = 0; // shown now, by the player's own account
let target = null; // asked for and not shown yet
let waiting = false; // with the jump to it, for the one before to end
let origin = null; // the player's time of the first frame; containers need not start at 0
let view = { start: 0, end: 1 }; // seconds on the lane
let looping = false;
let held = null; // { type, onset, key } while a key makes an event
let stretch = null; // number of the audit's stretch on the desk
let loaded = 0; // counts recordings put into the player, so that answers about an earlier one are dropped

// ---- frames and seconds

const last = () => times.length - 1;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const period = () => (times.length > 1 ? times[last()] / last() : 1 / 30);
const endOf = (f) => (f < last() ? times[f + 1] : times[last()] + period());
const duration = () => endOf(last());
function frameAt(seconds) { // the frame on the screen at that time
  let low = 0, high = last();
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= seconds + 1e-6) low = middle; else high = middle - 1;
  }
  return low;
}
function nearest(seconds) { // the frame whose time stamp is nearest
  const f = frameAt(seconds);
  return f < last() && times[f + 1] - seconds < seconds - times[f] ? f + 1 : f;
}
const current = () => target ?? frame;

const middleOf = (f) => (times[f] + endOf(f)) / 2;
function seek(f) {
  target = clamp(f, 0, last());
  waiting = origin === null || player.seeking;
  // The middle of a frame: at its very time stamp, rounding would show the one before.
  if (!waiting) player.currentTime = origin + middleOf(target);
  drawPlayhead();
}
player.addEventListener("seeked", () => {
  if (target === null) return;
  if (waiting) { seek(target); return; }
  if (!player.requestVideoFrameCallback) { shown(origin + times[target]); return; }
  // A player that presents no new frame after a jump shows the one it had: then that is the frame.
  setTimeout(() => { if (!player.seeking && !waiting && target !== null) { target = null; drawPlayhead(); } }, 400);
});

function shown(mediaTime) {
  if (origin === null) { // what a player shows first, before any jump, is the first frame
    origin = mediaTime;
    if (target !== null) seek(target);
  }
  frame = nearest(mediaTime - origin);
  if (target !== null && !waiting && (frame === target || !player.seeking)) target = null;
  const stop = limit();
  if (!player.paused && stop && frame >= stop.end) {
    if (looping) seek(stop.start); else { player.pause(); seek(stop.end); }
  }
  follow();
  drawPlayhead();
}
function onFrame(of, metadata) {
  if (of !== loaded) return;
  shown(metadata.mediaTime);
  player.requestVideoFrameCallback((_, next) => onFrame(of, next));
}
player.addEventListener("timeupdate", () => { // browsers that do not tell which frame they present
  if (!player.requestVideoFrameCallback && !player.seeking && origin !== null) shown(times[frameAt(player.currentTime)]);
});
function limit() { // frames that playing may not leave
  const event = looping && byId(chosen);
  if (event) {
    return { start: nearest(Math.max(0, times[event.onset] - LOOP_S)), end: nearest(times[event.offset] + LOOP_S) };
  }
  return stretch === null ? null : around(session.stretches[stretch]);
}
function around(s) {
  const first = nearest(Math.max(0, times[s.start] - session.context_s));
  return { start: first, end: nearest(times[s.end] + session.context_s) };
}

// ---- talking to the server

const queue = [];
let sending = false;
async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  const value = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.error || answer.statusText), { refused: answer.status < 500 });
  return value;
}
function act(body) {
  queue.push({ of: number, body: { ...body, key: crypto.randomUUID() } });
  tell("busy", "saving");
  send();
}
async function drained() { // when every act is on the disk
  while (queue.length || sending) await new Promise((done) => setTimeout(done, 20));
}
async function send() {
  if (sending) return;
  sending = true;
  while (queue.length) {
    const { of, body } = queue[0];
    try {
      const after = await ask(`videos/${of}/acts`, body);
      queue.shift();
      if (of === number) {
        const before = new Set(events.map((e) => e.id));
        take(after);
        const added = body.act === "add" && events.find((e) => !before.has(e.id));
        if (added) choose(added.id, false);
      }
      if (!queue.length) saved();
    } catch (error) {
      if (error.refused) { // the server knows better: show its state
        queue.shift();
        notice(error.message);
        if (of === number) take(await ask(`videos/${of}`));
        saved();
      } else { // the same key goes out again, so that nothing is done twice
        tell("lost", `NOT SAVED: ${error.refused === false ? error.message : "the program does not answer"}`);
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
  }
  sending = false;
}
function tell(kind, text) { $("saved").className = kind; $("saved").textContent = text; }
const saved = () => tell("", state && state.acts ? `saved (${state.acts})` : "");
window.addEventListener("beforeunload", (event) => { if (queue.length) event.preventDefault(); });
let noticed;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
  clearTimeout(noticed);
  if (text) noticed = setTimeout(() => notice(""), 6000);
}

// ---- state

const byId = (id) => events.find((e) => e.id === id);
const visible = () => events.filter((e) => e.machine || e.status !== "rejected");
function take(after) {
  state = after;
  events = after.events;
  if (!byId(chosen) || !visible().includes(byId(chosen))) chosen = null;
  $("undo").disabled = !state.undo;
  $("redo").disabled = !state.redo;
  draw();
}
async function open(index) {
  number = index;
  const of = ++loaded;
  const [after, shownAt] = await Promise.all([ask(`videos/${index}`), ask(`videos/${index}/times`)]);
  if (of !== loaded) return;
  times = shownAt;
  origin = null;
  target = null;
  waiting = false;
  frame = 0;
  chosen = null;
  $("videos").value = index;
  view = { start: 0, end: Math.min(VIEW_S, duration()) };
  play(`videos/${index}/media`, of);
  take(after);
  saved();
}
function play(source, of) {
  player.onerror = () => {
    if (of !== loaded) return;
    if (source.endsWith("copy")) { notice("This recording cannot be shown."); return; }
    $("notice").hidden = false;
    $("notice").textContent = "The browser cannot play this file; a copy that it can play is being made.";
    play(`videos/${number}/copy`, of);
  };
  player.onloadeddata = () => {
    if (source.endsWith("copy")) notice("");
    player.playbackRate = +$("speed").value;
    if (!player.requestVideoFrameCallback) shown(0);
  };
  if (player.requestVideoFrameCallback) player.requestVideoFrameCallback((_, metadata) => onFrame(of, metadata));
  player.src = source;
}
async function openStretch(index) {
  stretch = index;
  const s = session.stretches[index];
  looping = false;
  if (number !== s.recording || times.length < 2) await open(s.recording);
  const { start, end } = around(s);
  view = { start: times[start], end: endOf(end) };
  chosen = null;
  player.pause();
  seek(start);
  draw();
}

// ---- acts

const moved = (event, changes) => {
  const now = { onset: event.onset, apex: event.apex, offset: event.offset, ...changes };
  if ("onset" in changes) now.onset = clamp(now.onset, 0, now.offset);
  if ("offset" in changes) now.offset = clamp(now.offset, now.onset, last());
  now.apex = clamp(now.apex, now.onset, now.offset);
  return now;
};
function change(event, changes) {
  const now = moved(event, changes);
  if (now.onset !== event.onset || now.apex !== event.apex || now.offset !== event.offset) {
    act({ act: "change", id: event.id, ...now });
  }
}
function judge(status) {
  const event = byId(chosen);
  if (!event) return;
  act({ act: "judge", id: event.id, status: event.status === status ? "open" : status });
  if (event.status !== "open") return;
  const waiting = visible().filter((e) => e.status === "open" && e.id !== event.id);
  const following = waiting.find((e) => e.onset >= event.onset) ?? waiting[0];
  if (following) choose(following.id);
}
const setHere = (moment) => {
  const event = byId(chosen);
  if (!event) return;
  // Beyond the other end, the event would turn inside out: then that end comes along.
  const here = current();
  if (moment === "onset" && here > event.offset) change(event, { onset: here, offset: here });
  else if (moment === "offset" && here < event.onset) change(event, { offset: here, onset: here });
  else change(event, { [moment]: here });
};
const otherType = () => {
  const event = byId(chosen);
  if (event) act({ act: "change", id: event.id, type: event.type === "macro" ? "micro" : "macro" });
};
function keyDown(type, key) {
  if (!held) held = { type, key, onset: current(), still: player.paused };
}
function keyUp() {
  const { type, onset } = held;
  let offset = current(), begin = onset;
  const tapped = held.still && offset === onset;
  held = null;
  if (tapped) {
    begin = nearest(Math.max(0, times[onset] - TAP_S[type] / 2));
    offset = nearest(times[onset] + TAP_S[type] / 2);
  }
  if (offset < begin) [begin, offset] = [offset, begin];
  act({ act: "add", onset: begin, apex: tapped ? onset : Math.round((begin + offset) / 2), offset, type });
}
function choose(id, go = true) {
  chosen = id;
  const event = byId(id);
  if (event && go) {
    if (!looping) player.pause();
    seek(looping ? limit().start : event.onset);
    show(times[event.onset], endOf(event.offset));
  }
  draw();
  $("rows").querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
}
function neighbour(step) {
  const all = visible();
  if (!all.length) return;
  const at = all.findIndex((e) => e.id === chosen);
  let next;
  if (at >= 0) next = clamp(at + step, 0, all.length - 1);
  else if (step > 0) next = Math.max(0, all.findIndex((e) => e.onset >= current()));
  else next = Math.max(0, all.findLastIndex((e) => e.onset <= current()));
  choose(all[next].id);
}

// ---- the player's buttons

function toggle() {
  if (!player.paused) { player.pause(); return; }
  const stop = limit();
  if (stop && (current() >= stop.end || current() < stop.start)) seek(stop.start);
  target = null;
  player.play();
}
function toggleLoop() {
  if (!looping && !byId(chosen)) { notice("Select an event to loop."); return; }
  looping = !looping;
  $("lock").setAttribute("aria-pressed", looping);
  if (looping) { seek(limit().start); target = null; player.play(); } else player.pause();
}
function step(direction, times10) {
  player.pause();
  seek(current() + direction * Math.max(1, Math.round(+$("step").value || 1)) * (times10 ? 10 : 1));
  follow();
}
function faster(by) {
  const at = SPEEDS.indexOf(+$("speed").value);
  $("speed").value = SPEEDS[clamp(at + by, 0, SPEEDS.length - 1)];
  player.playbackRate = +$("speed").value;
}
for (const type of ["play", "pause"]) {
  player.addEventListener(type, () => { $("play").textContent = player.paused ? "Play" : "Pause"; });
}

// ---- drawing

const stamp = (f) => times[f].toFixed(2);
const x = (seconds) => `${(100 * (seconds - view.start)) / (view.end - view.start)}%`;
function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
function show(start, end) { // brings these seconds onto the lane
  if (stretch !== null || (start >= view.start && end <= view.end)) return;
  const width = clamp(Math.max(view.end - view.start, (end - start) * 1.6), 0, duration());
  const from = clamp((start + end - width) / 2, 0, duration() - width);
  view = { start: from, end: from + width };
}
function follow() {
  const now = times[current()];
  if (stretch === null && (now < view.start || now > view.end)) {
    const width = view.end - view.start;
    const from = clamp(now - width * 0.1, 0, Math.max(0, duration() - width));
    view = { start: from, end: from + width };
    draw();
  }
}
function draw() {
  drawBars();
  drawOverview();
  drawRows();
  drawChosen();
  drawAudit();
  drawPlayhead();
}
function drawBars() {
  if (dragged) return;
  const bars = visible().map(bar);
  $("bars").replaceChildren(...bars);
  const marks = [];
  const width = view.end - view.start;
  const grain = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((g) => width / g <= 14) ?? 1200;
  for (let t = Math.ceil(view.start / grain) * grain; t < view.end; t += grain) {
    const mark = element("i", "", grain < 1 ? t.toFixed(1) : minutes(t));
    mark.style.left = x(t);
    marks.push(mark);
  }
  if (stretch !== null) {
    const s = session.stretches[stretch];
    for (const [from, to] of [[view.start, times[s.start]], [endOf(s.end), view.end]]) {
      const outside = element("b", "outside");
      outside.style.left = x(from);
      outside.style.width = `${(100 * (to - from)) / width}%`;
      marks.push(outside);
    }
  }
  $("ruler").replaceChildren(...marks);
}
function bar(event) {
  const made = element("div", `bar ${event.type} ${event.status}${event.id === chosen ? " chosen" : ""}`);
  made.dataset.id = event.id;
  made.title = `${event.type}, frames ${event.onset} to ${event.offset}, ${event.status}`;
  for (const name of ["onset", "offset"]) made.append(grip(`edge ${name}`, name));
  made.append(grip("apex", "apex"));
  place(made, event);
  return made;
}
function grip(className, moment) {
  const made = element("div", className);
  made.dataset.moment = moment;
  return made;
}
function place(made, event) {
  const from = times[event.onset], to = endOf(event.offset);
  made.style.left = x(from);
  made.style.width = `${(100 * (to - from)) / (view.end - view.start)}%`;
  const apex = made.querySelector(".apex");
  if (apex) apex.style.left = `${(100 * (middleOf(event.apex) - from)) / (to - from)}%`;
}
function drawOverview() {
  $("overview").hidden = stretch !== null;
  const all = visible().map((e) => {
    const mark = element("i", `${e.type} ${e.status}`);
    mark.style.left = `${(100 * times[e.onset]) / duration()}%`;
    mark.style.width = `${(100 * (endOf(e.offset) - times[e.onset])) / duration()}%`;
    return mark;
  });
  const part = element("div", "window");
  part.style.left = `${(100 * view.start) / duration()}%`;
  part.style.width = `${(100 * (view.end - view.start)) / duration()}%`;
  $("overview").replaceChildren(part, ...all, element("div", "now"));
}
function drawPlayhead() {
  const f = current();
  const middle = middleOf(f);
  $("playhead").style.left = x(middle);
  const now = $("overview").querySelector(".now");
  if (now) now.style.left = `${(100 * middle) / duration()}%`;
  $("frame").textContent = `frame ${f}`;
  $("clock").textContent = `${times[f].toFixed(3)} s`;
  let growing = $("bars").querySelector(".growing");
  if (!held) { growing?.remove(); return; }
  if (!growing) { growing = element("div", `bar growing ${held.type}`); $("bars").append(growing); }
  place(growing, { onset: Math.min(held.onset, f), offset: Math.max(held.onset, f), apex: held.onset });
}
function drawRows() {
  const wanted = $("filter").value;
  const rows = visible().filter((e) => wanted === "all" || e.status === wanted).map((e) => {
    const row = element("tr", `${e.type} ${e.status}${e.id === chosen ? " chosen" : ""}`);
    row.dataset.id = e.id;
    row.append(element("td", "kind", e.type));
    for (const moment of ["onset", "apex", "offset"]) row.append(element("td", "", stamp(e[moment])));
    row.append(element("td", "", e.confidence === null ? "" : e.confidence.toFixed(2)));
    const said = { open: "to judge", accepted: e.machine ? (e.moved ? "corrected" : "accepted") : "added", rejected: "rejected" };
    row.append(element("td", "", said[e.status]));
    return row;
  });
  $("rows").replaceChildren(...rows);
  const count = (status) => visible().filter((e) => e.status === status).length;
  const open = count("open");
  $("tally").textContent = `${count("accepted")} accepted${open ? `, ${open} to be judged` : ""}`;
  $("nothing").hidden = rows.length > 0;
  const hidden = session.mode !== "open";
  $("nothing").textContent = events.length ? "None of this kind." : hidden
    ? "What facespot found is hidden. Play, and hold 1 or 2 while you see an expression."
    : "facespot found nothing here. Play, and hold 1 or 2 while you see an expression.";
}
function drawChosen() {
  const event = byId(chosen);
  $("chosen").querySelector(".none").hidden = !!event;
  $("chosen").querySelector(".some").hidden = !event;
  if (!event) return;
  $("chosen-name").textContent = `Event ${event.id}: ${event.type}, ${(endOf(event.offset) - times[event.onset]).toFixed(2)} s`;
  for (const moment of ["onset", "apex", "offset"]) {
    $(moment).value = event[moment];
    $(moment).max = last();
  }
  $("type").value = event.type;
  $("accept").setAttribute("aria-pressed", event.status === "accepted");
  $("reject").setAttribute("aria-pressed", event.status === "rejected");
}
function drawAudit() {
  $("audit-bar").hidden = stretch === null;
  if (stretch === null) return;
  const all = session.stretches;
  const s = all[stretch];
  const done = all.filter((each) => each.done).length;
  $("stretch-name").textContent = `Stretch ${stretch + 1} of ${all.length}`;
  $("stretch-told").textContent = `${minutes(times[s.start])} to ${minutes(endOf(s.end))}: mark each expression with its `
    + `middle in it. ${done} watched.`;
  $("stretch-back").disabled = stretch === 0;
  $("stretch-done").hidden = done === all.length;
  $("result").hidden = done < all.length;
}
const minutes = (t) => `${Math.floor((t + 1e-6) / 60)}:${String(Math.floor((t + 1e-6) % 60)).padStart(2, "0")}`;

// ---- the mouse

let dragged = null;
const secondsAt = (event) => {
  const box = $("lane").getBoundingClientRect();
  return view.start + ((event.clientX - box.left) / box.width) * (view.end - view.start);
};
$("lane").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  $("lane").setPointerCapture(event.pointerId);
  player.pause();
  const made = event.target.closest?.(".bar");
  const picked = made && byId(+made.dataset.id);
  if (picked) {
    if (chosen !== picked.id) choose(picked.id, false);
    const moment = event.target.dataset.moment;
    const bars = $("bars").querySelector(`[data-id="${picked.id}"]`);
    dragged = { event: picked, moment, made: bars, now: null };
    if (moment) seek(picked[moment]); else seek(frameAt(secondsAt(event)));
  } else {
    dragged = { moment: null };
    seek(frameAt(secondsAt(event)));
  }
});
$("lane").addEventListener("pointermove", (event) => {
  if (!dragged) return;
  const seconds = secondsAt(event);
  if (!dragged.moment) { seek(frameAt(clamp(seconds, 0, duration()))); return; }
  // An offset is drawn where its frame ends; the picture follows the edge, so that one sees what is coded.
  const f = dragged.moment === "offset" ? nearest(seconds - period()) : dragged.moment === "apex" ? frameAt(seconds) : nearest(seconds);
  dragged.now = moved(dragged.event, { [dragged.moment]: f });
  place(dragged.made, dragged.now);
  seek(dragged.now[dragged.moment]);
});
for (const type of ["pointerup", "pointercancel"]) {
  $("lane").addEventListener(type, () => {
    const done = dragged;
    dragged = null;
    if (type === "pointerup" && done?.now) change(done.event, { [done.moment]: done.now[done.moment] });
    draw();
  });
}
$("lane").addEventListener("wheel", (event) => {
  event.preventDefault();
  if (stretch !== null) return;
  const at = secondsAt(event);
  const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
  const width = view.end - view.start;
  const now = sideways ? width : clamp(width * Math.exp(event.deltaY * 0.002), Math.min(0.5, duration()), duration());
  const shift = sideways ? ((event.deltaX || event.deltaY) / $("lane").clientWidth) * width : 0;
  const from = clamp(at - ((at - view.start) * now) / width + shift, 0, duration() - now);
  view = { start: from, end: from + now };
  draw();
}, { passive: false });
$("overview").addEventListener("pointerdown", (event) => {
  const box = $("overview").getBoundingClientRect();
  player.pause();
  seek(frameAt(((event.clientX - box.left) / box.width) * duration()));
  follow();
});
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row) choose(+row.dataset.id);
});
$("rows").addEventListener("dblclick", () => { if (!looping) toggleLoop(); });

// ---- buttons, fields and keys

$("play").onclick = toggle;
$("lock").onclick = toggleLoop;
$("step-back").onclick = (event) => step(-1, event.shiftKey);
$("step-on").onclick = (event) => step(1, event.shiftKey);
$("undo").onclick = () => act({ act: "undo" });
$("redo").onclick = () => act({ act: "redo" });
$("accept").onclick = () => judge("accepted");
$("reject").onclick = () => judge("rejected");
$("previous").onclick = () => neighbour(-1);
$("next").onclick = () => neighbour(1);
$("filter").onchange = drawRows;
$("sound").onchange = () => { player.muted = !$("sound").checked; };
$("speed").onchange = () => { player.playbackRate = +$("speed").value; };
$("type").onchange = () => { if (byId(chosen)?.type !== $("type").value) otherType(); };
$("help-button").onclick = () => $("help").showModal();
$("videos").onchange = () => open(+$("videos").value);
$("stretch-back").onclick = () => openStretch(stretch - 1);
$("stretch-done").onclick = stretchDone;
$("result").onclick = result;
for (const button of document.querySelectorAll("[data-set]")) button.onclick = () => setHere(button.dataset.set);
for (const moment of ["onset", "apex", "offset"]) {
  $(moment).onchange = () => {
    const event = byId(chosen);
    if (event && $(moment).value !== "") change(event, { [moment]: Math.round(+$(moment).value) });
    drawChosen();
  };
}
$("finish").onclick = async () => {
  await drained();
  await ask("quit", {});
  player.removeAttribute("src");
  document.body.replaceChildren(element("p", "hint", "Everything is saved. This page can be closed."));
};
async function stretchDone() {
  act({ act: "watch", stretch, done: true });
  await drained();
  session = await ask("session");
  const following = session.stretches.findIndex((s, i) => i > stretch && !s.done);
  const any = following >= 0 ? following : session.stretches.findIndex((s) => !s.done);
  if (any >= 0) openStretch(any); else { draw(); }
}
async function result() {
  if (!session.closed && !confirm("The result ends the audit: it takes no labels any more. Show it?")) return;
  const { text } = await ask("audit", {});
  session = await ask("session");
  $("report-text").textContent = text;
  $("report").showModal();
}

for (const field of document.querySelectorAll("select, input")) { // so that the keys work again
  field.addEventListener("change", () => field.blur());
}

const KEYS = {
  " ": toggle, ArrowLeft: (e) => step(-1, e.shiftKey), ArrowRight: (e) => step(1, e.shiftKey),
  n: () => neighbour(1), b: () => neighbour(-1), "-": () => faster(-1), "+": () => faster(1), "=": () => faster(1),
  l: toggleLoop, a: () => judge("accepted"), x: () => judge("rejected"), t: otherType,
  i: () => setHere("onset"), p: () => setHere("apex"), o: () => setHere("offset"),
  z: (e) => act({ act: e.shiftKey ? "redo" : "undo" }), y: () => act({ act: "redo" }),
  "1": (e) => keyDown("macro", e.code), "2": (e) => keyDown("micro", e.code),
  Enter: () => { if (stretch !== null) ($("result").hidden ? stretchDone : result)(); },
  Escape: () => { held = null; drawPlayhead(); }, "?": () => $("help").showModal(),
};
const typing = (event) => event.target.closest?.("input[type=number], select, dialog");
document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const command = event.ctrlKey || event.metaKey;
  if (typing(event) || event.altKey || (command && !"zy".includes(key)) || !(key in KEYS)) return;
  if (key === "Enter" && event.target.closest?.("button")) return;
  event.preventDefault(); // space would press the button that has the focus
  if (event.repeat && !key.startsWith("Arrow")) return;
  KEYS[key](event);
});
document.addEventListener("keyup", (event) => { if (held && event.code === held.key) keyUp(); });
window.addEventListener("blur", () => { held = null; });

async function start() {
  session = await ask("session");
  for (const speed of SPEEDS) $("speed").append(new Option(`${speed}x`, speed, speed === 1, speed === 1));
  session.videos.forEach((video, i) => $("videos").append(new Option(video.name, i)));
  $("videos").disabled = session.videos.length < 2 || session.mode === "audit";
  const said = [session.mode === "open" ? "" : session.mode, session.coder].filter(Boolean).join(": ");
  $("mode").hidden = !said;
  $("mode").textContent = said;
  $("files").textContent = `Written at every act: ${session.files.join(", ")}`;
  document.title = `${session.videos[0].name} - spot label`;
  if (session.mode === "audit") {
    const first = session.stretches.findIndex((s) => !s.done);
    await open(session.stretches[Math.max(first, 0)].recording);
    await openStretch(Math.max(first, 0));
  } else await open(0);
}
start();
