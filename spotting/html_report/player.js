"use strict";
// Players that know frames: of a video, of the drawn face, or of nothing but the clock.

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// When each frame was shown, by the video's own time stamps; frames count from 0, seconds from the first one.
class FrameClock {
  constructor(frames, duration) {
    const times = [];
    if (frames.microseconds) {
      for (const t of new Uint32Array(bytesOf(frames.microseconds).buffer)) times.push(t / 1e6);
    } else {
      for (const [count, start, step] of frames.runs) for (let i = 0; i < count; i++) times.push(start + i * step);
    }
    this.times = times;
    this.count = times.length;
    this.duration = duration;
  }
  clamp(frame) { return Math.min(Math.max(Math.round(frame), 0), this.count - 1); }
  end(frame) { return frame + 1 < this.count ? this.times[frame + 1] : Math.max(this.duration, this.times[frame] + 1e-3); }
  // Seconds at a part of the time for which a frame is shown: in the middle no rounding can reach a neighbour.
  within(frame, part) { return this.times[frame] + part * (this.end(frame) - this.times[frame]); }
  // The frame whose time stamp is nearest.
  nearest(seconds) {
    let low = 0, high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < seconds) low = middle + 1; else high = middle;
    }
    return low > 0 && seconds - this.times[low - 1] <= this.times[low] - seconds ? low - 1 : low;
  }
  // The frame that is on the screen at a moment.
  showing(seconds) {
    const frame = this.nearest(seconds);
    return frame > 0 && this.times[frame] > seconds + 1e-4 ? frame - 1 : frame;
  }
}

// Keeps time by itself and shows nothing; the players below override how a frame is shown.
class TimedPlayer {
  constructor(clock) {
    this.clock = clock;
    this.frame = 0;
    this.rate = 1;
    this.playing = false;
    this.onframe = () => {};
    this.onstate = () => {};
  }
  show(_frame) {}
  set(frame) {
    this.frame = this.clock.clamp(frame);
    this.show(this.frame);
    this.onframe(this.frame);
  }
  async seek(frame) { this.pause(); this.set(frame); }
  setRate(rate) { this.rate = rate; this.since = performance.now(); this.from = this.clock.times[this.frame]; }
  play() {
    if (this.frame >= this.clock.count - 1) this.set(0);
    this.playing = true;
    this.setRate(this.rate);
    const tick = () => {
      if (!this.playing) return;
      const now = this.from + this.rate * (performance.now() - this.since) / 1000;
      let frame = this.frame;
      while (frame + 1 < this.clock.count && this.clock.times[frame + 1] <= now) frame++;
      if (frame !== this.frame) this.set(frame);
      if (this.frame >= this.clock.count - 1) this.pause();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    this.onstate();
  }
  pause() { this.playing = false; this.onstate(); }
}

class MeshPlayer extends TimedPlayer {
  constructor(clock, canvas, mesh, rate) {
    super(clock);
    this.canvas = canvas;
    this.mesh = mesh;
    this.tickRate = rate;
    this.points = new Int16Array(bytesOf(mesh.points).buffer);
    canvas.width = 640;
    canvas.height = Math.round(640 * mesh.height / mesh.width);
    canvas.hidden = false;
    this.set(0);
  }
  show(frame) {
    const { canvas, mesh, points } = this, g = canvas.getContext("2d"), ticks = points.length / mesh.count / 2;
    const tick = Math.min(Math.round(this.clock.times[frame] * this.tickRate), ticks - 1), first = tick * mesh.count * 2;
    g.fillStyle = "#14181c";
    g.fillRect(0, 0, canvas.width, canvas.height);
    g.strokeStyle = g.fillStyle = "#9fd3f5";
    g.lineWidth = 1.6;
    if (points[first] === -32768) {
      g.font = "20px sans-serif";
      g.textAlign = "center";
      g.fillText("no usable face", canvas.width / 2, canvas.height / 2);
      return;
    }
    const scale = canvas.width / mesh.width / mesh.scale;
    const at = (i) => [points[first + 2 * i] * scale, points[first + 2 * i + 1] * scale];
    for (const line of mesh.lines) {
      g.beginPath();
      for (const i of line) g.lineTo(...at(i));
      g.stroke();
    }
    for (const i of mesh.pupils) {
      g.beginPath();
      g.arc(...at(i), 3, 0, 7);
      g.fill();
    }
  }
}

class VideoPlayer extends TimedPlayer {
  // failed: called once if the browser cannot play the file.
  constructor(clock, video, source, failed) {
    super(clock);
    this.video = video;
    this.origin = null; // media time of frame 0: not every file begins at 0
    this.target = null;
    this.presented = () => {};
    video.hidden = false;
    video.addEventListener("error", failed, { once: true });
    for (const name of ["play", "pause", "ended"]) video.addEventListener(name, () => this.state());
    this.ready = new Promise((resolve) => { this.isReady = resolve; });
    this.exact = "requestVideoFrameCallback" in video;
    if (this.exact) {
      const presented = (_now, { mediaTime }) => { video.requestVideoFrameCallback(presented); this.arrived(mediaTime); };
      video.requestVideoFrameCallback(presented);
    } else {
      // Browsers that cannot tell what they present: reckoned from the time, taking the first frame to be at 0.
      const reckoned = () => { if (!video.seeking) this.arrived(this.clock.times[this.clock.showing(video.currentTime)]); };
      video.addEventListener("loadeddata", () => this.arrived(0), { once: true });
      for (const name of ["seeked", "timeupdate"]) video.addEventListener(name, reckoned);
    }
    video.src = source;
  }
  state() { this.playing = !this.video.paused && !this.video.ended; this.onstate(); }
  arrived(mediaTime) {
    if (this.origin === null) { this.origin = mediaTime; this.isReady(); }
    this.frame = this.clock.nearest(mediaTime - this.origin);
    this.presented(this.frame);
    this.onframe(this.frame);
  }
  nextPresented(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), milliseconds);
      this.presented = (frame) => { clearTimeout(timer); resolve(frame); };
    });
  }
  // Shows exactly this frame and says whether it did: what the browser presents is looked at, and asked for again.
  async seek(frame) {
    frame = this.clock.clamp(frame);
    this.target = frame;
    this.video.pause();
    await this.ready;
    for (const part of [0.5, 0.35, 0.65, 0.2, 0.8]) {
      if (this.target !== frame) return false;
      const next = this.nextPresented(700);
      this.video.currentTime = this.origin + this.clock.within(frame, part);
      const shown = await next;
      if (this.target !== frame) return false;
      if ((shown === null ? this.frame : shown) === frame) { this.onframe(frame); return true; }
    }
    return false;
  }
  setRate(rate) { this.rate = rate; this.video.playbackRate = rate; }
  play() { this.target = null; this.video.playbackRate = this.rate; this.video.play().catch(() => this.state()); }
  pause() { this.video.pause(); }
}
