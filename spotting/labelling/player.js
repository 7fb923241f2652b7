"use strict";
// What the page of `spot label` knows, and its player: which frame is on the screen, and how to get to another.
// Times are source frames; `times` holds the seconds at which each is shown.
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
  // A player that presents no new frame after a jump shows the one it had: then that is the frame. A busy machine may take
  // a second to present one.
  setTimeout(() => { if (!player.seeking && !waiting && target !== null) { target = null; drawPlayhead(); } }, 2000);
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
