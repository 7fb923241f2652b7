"use strict";
// The lane, the overview, the table and the selected event, drawn from the state.

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
