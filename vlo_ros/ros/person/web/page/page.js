/* Copyright 2026 the vlo_ros authors */
/* SPDX-License-Identifier: Apache-2.0 */
// The page: one socket in both directions, one picture, two plots. Text is only ever set as text.
'use strict';
const $ = (id) => document.getElementById(id);
const EXAMPLES = [
  'Please narrate what I do, as I do it.',
  'What did I do last?',
  'What am I holding in my right hand?',
  'Where am I?',
  'What should I do next?',
  'Did I forget anything?',
  // those of the published demo, word for word
  'Please narrate the video in real time.',
  'Please describe what I am doing.',
  'Could you summarize what have been done?',
  'Hi, guide me the next step.',
];
const SLIDERS = ['silence_threshold', 'frame_fps'];
const MAX_POINTS = 160, MAX_LINES = 500;
const points = [];
let socket = null, grown = -1, noteTimer = 0, waited = {};

// -- socket -------------------------------------------------------------------------------------
function connect() {
  socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/socket');
  socket.onopen = () => { $('transcript').replaceChildren(); grown = -1; };
  socket.onmessage = (message) => { const event = JSON.parse(message.data); on[event.kind]?.(event); };
  socket.onclose = () => { setState('no connection', 'bad'); setTimeout(connect, 1000); };
}
function send(wish) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish));
  else note('there is no connection to the page\'s server');
}

const on = {
  decision(event) {
    points.push(event);
    if (points.length > MAX_POINTS) points.shift();
    $('p-now').textContent = event.p_silence === null ? '' : event.p_silence.toFixed(2);
    $('latency-now').textContent = duration(event.latency);
    draw();
  },
  partial(event) {
    if (event.sequence > grown) $('growing').textContent = event.text + ' …';
  },
  response(event) {
    $('growing').textContent = '';
    if (event.text) grown = event.sequence;
    const asked = waited[event.id];
    delete waited[event.id];
    const late = asked ? `answered in ${duration((performance.now() - asked) / 1000)}` : duration(event.latency);
    if (event.reason && !event.text) addLine(event.time, `no answer: ${event.reason}`, '', 'refused');
    else addLine(event.time, event.text + (event.cut ? ' (cut)' : ''), late, event.answer ? 'answer' : 'remark');
  },
  question(event) {
    waited[event.id] = performance.now();
    addLine(null, event.text, '', 'question');
  },
  status(event) {
    setState(event.state, { watching: 'watching', speaking: 'speaking', failed: 'bad', 'no images': 'bad' }[event.state] || '');
    const parts = [
      `${event.fps_received.toFixed(0)} images/s`, `${event.fps_judged.toFixed(1)} judged/s`,
      `backlog ${event.backlog}`, `window ${(100 * event.fill).toFixed(0)} %`,
      `p50 ${duration(event.p50)}, p95 ${duration(event.p95)}`, event.device, event.model.split('/').pop(),
    ];
    if (event.dropped) parts.push(`${event.dropped} dropped`);
    if (event.error) parts.push(event.error);
    $('status').textContent = parts.filter(Boolean).join('  ·  ');
  },
  settings(event) {
    for (const name of SLIDERS) {
      const slider = $(name);
      slider.disabled = event.values === null;
      if (event.values === null || document.activeElement === slider && slider.dataset.held) continue;
      slider.value = event.values[name];
      showSlider(name, event.values[name]);
    }
    if (event.values === null) setState(`${event.node} is not there`, 'bad');
  },
  camera(event) { $('no-picture').textContent = event.text; },
  note(event) { note(event.text); },
};

// -- words --------------------------------------------------------------------------------------
function addLine(time, text, late, kind) {
  const log = $('transcript'), line = document.createElement('div');
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  line.className = `line ${kind}`;
  const stamp = document.createElement('time'), words = document.createElement('span');
  stamp.textContent = time === null ? 'you' : `${time.toFixed(1)} s`;
  words.textContent = text;
  if (late) {
    const small = document.createElement('small');
    small.textContent = late;
    words.append(small);
  }
  line.append(stamp, words);
  log.append(line);
  while (log.children.length > MAX_LINES) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}
function duration(seconds) {
  if (seconds === null || seconds === undefined) return '';
  return Math.abs(seconds) >= 1 ? `${seconds.toFixed(1)} s` : `${(1000 * seconds).toFixed(0)} ms`;
}
function setState(text, kind) { $('state').textContent = text; $('state').className = `state ${kind}`; }
function note(text) {
  $('note').textContent = text;
  $('note').hidden = false;
  clearTimeout(noteTimer);
  noteTimer = setTimeout(() => { $('note').hidden = true; }, 6000);
}

// -- plots --------------------------------------------------------------------------------------
function draw() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const threshold = points.length ? points[points.length - 1].threshold : null;
  plot($('plot-silence'), points.map((p) => p.p_silence), 1, '1', threshold, colour);
  const latencies = points.map((p) => p.latency);
  const most = Math.max(0.05, ...latencies.filter((value) => value !== null));
  plot($('plot-latency'), latencies, most, duration(most), null, colour);
}
function plot(canvas, values, most, label, mark, colour) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const bottom = height - 1, room = height - 8, step = width / MAX_POINTS;
  values.forEach((value, index) => {
    if (value === null) return;
    // Where it spoke the silence probability is next to nothing: keep the bar visible all the same.
    const least = points[index].silent ? 1 : 8;
    const tall = Math.max(least, room * Math.max(0, Math.min(1, value / most)));
    pen.fillStyle = points[index].silent ? colour('--blue') : colour('--orange');
    pen.fillRect(index * step, bottom - tall, Math.max(1, step - 1), tall);
  });
  pen.strokeStyle = colour('--line');
  pen.strokeRect(0.5, 0.5, width - 1, height - 1);
  if (mark !== null && mark <= most) {
    const y = bottom - room * mark / most;
    pen.strokeStyle = colour('--red');
    pen.setLineDash([4, 3]);
    pen.beginPath(); pen.moveTo(0, y); pen.lineTo(width, y); pen.stroke();
    pen.setLineDash([]);
  }
  pen.fillStyle = colour('--soft');
  pen.font = '11px sans-serif';
  pen.textAlign = 'right';
  pen.fillText(label, width - 4, 12);
}

// -- what a person does -------------------------------------------------------------------------
function ask(text) { if (text.trim()) send({ do: 'ask', text }); }
$('form').onsubmit = (event) => { event.preventDefault(); ask($('question').value); $('question').value = ''; };
$('forget').onclick = () => send({ do: 'forget' });
for (const text of EXAMPLES) {
  const button = document.createElement('button');
  button.textContent = text;
  button.onclick = () => ask(text);
  $('examples').append(button);
}
function showSlider(name, value) { $(`out-${name}`).textContent = Number(value).toFixed(name === 'frame_fps' ? 1 : 3); }
for (const name of SLIDERS) {
  const slider = $(name);
  slider.oninput = () => { slider.dataset.held = '1'; showSlider(name, slider.value); };
  slider.onchange = () => { delete slider.dataset.held; send({ do: 'set', name, value: Number(slider.value) }); };
}
$('picture').onload = () => $('picture').classList.add('on');
$('picture').onerror = () => {
  $('picture').classList.remove('on');
  setTimeout(() => { $('picture').src = `/picture?${Date.now()}`; }, 2000);
};
$('tab-live').onclick = () => showTab(true);
$('tab-video').onclick = () => showTab(false);
function showTab(isLive) {
  $('live').hidden = !isLive;
  $('video').hidden = isLive;
  $('tab-live').classList.toggle('active', isLive);
  $('tab-video').classList.toggle('active', !isLive);
  // The live picture is drawn by the server only while it is looked at.
  $('picture').src = isLive ? `/picture?${Date.now()}` : 'data:,';
}

// -- a video without a camera -------------------------------------------------------------------
let said = [];
$('file').onchange = async () => {
  const file = $('file').files[0];
  if (!file) return;
  said = [];
  $('drop').classList.add('loaded');
  $('player').src = URL.createObjectURL(file);
  $('progress').textContent = 'uploading';
  try {
    const answer = await fetch(`/upload?name=${encodeURIComponent(file.name)}`, { method: 'POST', body: file });
    if (!answer.ok) throw new Error(await answer.text());
    await readLines(answer.body.getReader(), onVideoEvent);
  } catch (error) {
    $('progress').textContent = '';
    note(String(error.message || error));
  }
};
async function readLines(reader, take) {
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const lines = text.split('\n');
    text = lines.pop();
    lines.filter(Boolean).forEach((line) => take(JSON.parse(line)));
  }
}
function onVideoEvent(event) {
  if (event.kind === 'frame') {
    $('progress').textContent = `watched ${event.time.toFixed(1)} s`;
    on.decision({ p_silence: event.p_silence, threshold: Number($('silence_threshold').value), silent: event.decision === 'silent', latency: null });
  } else if (event.kind === 'response') {
    said.push(event);
    addLine(event.time, event.text.trim(), 'video', 'remark');
  } else if (event.kind === 'end') {
    $('progress').textContent = event.error ? '' : `watched: ${said.length} remarks`;
    if (event.error) note(event.error);
  }
}
$('player').ontimeupdate = () => {
  const now = $('player').currentTime;
  const current = said.filter((event) => event.time <= now && now < event.time + 5).pop();
  $('caption').textContent = current ? current.text.trim() : '';
};

window.onresize = draw;
connect();
draw();
// The picture never ends: begun earlier, the page would never have loaded.
window.onload = () => setTimeout(() => showTab(true), 0);
