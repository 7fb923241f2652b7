"use strict";
// What a hand does on the page: acts, the mouse, buttons and keys.
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
