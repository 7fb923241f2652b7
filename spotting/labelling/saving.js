"use strict";
// Acts on their way to the disk, and the state that comes back.
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
