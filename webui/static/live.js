// The live page: parts of it arrive as server-sent events and replace what was there.
"use strict";
const parts = ["alarms", "thresholds", "spans", "queues", "agents", "calls"];
const lost = document.getElementById("lost");
const HOLD_MS = 5000;    // a list that a person has open is not replaced under the hand for so long
const held = {};         // parts that came meanwhile: part -> {html, since}
let offset = 0;          // the box's clock minus ours: waits are counted by the box's

function show(part, html) {
  const place = document.getElementById(part);
  if (place.contains(document.activeElement) && document.activeElement.matches("select")) {
    const since = held[part] ? held[part].since : Date.now();
    if (Date.now() - since < HOLD_MS) { held[part] = {html, since}; return; }
  }
  delete held[part];
  place.innerHTML = html;
  tick();
}

function tick() {
  for (const [part, {html, since}] of Object.entries(held)) {
    if (Date.now() - since >= HOLD_MS) { held[part].since = 0; show(part, html); }
  }
  const now = Date.now() + offset;
  for (const time of document.querySelectorAll("time[data-since]")) {
    const s = Math.max(0, Math.floor((now - Number(time.dataset.since)) / 1000));
    time.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  }
}

function follow() {
  const source = new EventSource("/live");
  for (const part of parts) {
    source.addEventListener(part, (event) => { lost.hidden = true; show(part, JSON.parse(event.data)); });
  }
  source.addEventListener("clock", (event) => { offset = Number(event.data) - Date.now(); });
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("error", () => {
    lost.hidden = false;
    // A refused stream (signed out, web process starting) is not tried again by the browser itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  });
}

document.addEventListener("focusout", () => {
  for (const [part, {html}] of Object.entries(held)) {
    delete held[part];
    setTimeout(() => show(part, html), 0);
  }
});

// Ask the box to do something; what it refuses, or that it is away, is told to the person.
async function ask(path, method, body) {
  try {
    const answer = await fetch(path, {method, headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    if (!answer.ok) alert((await answer.json()).detail);
  } catch (error) {
    alert(lost.textContent);
  }
}

document.addEventListener("change", async (event) => {
  const select = event.target.closest("select.status");
  if (!select) return;
  await ask(`/api/v1/agents/${encodeURIComponent(select.dataset.agent)}/status`, "PUT", {status: select.value});
  select.blur();
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form.hangup");
  if (!form) return;
  event.preventDefault();
  await ask(`/api/v1/calls/${encodeURIComponent(form.dataset.call)}/hangup`, "POST", {});
});

// Operations on a call that is up; a supervisor's go to the telephone that the person named.
const mine = document.getElementById("mine");
mine.value = localStorage.getItem("strowger_line") || "";
mine.addEventListener("change", () => localStorage.setItem("strowger_line", mine.value.trim()));
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-operation]");
  if (!button) return;
  const body = {};
  if (button.dataset.mode) {
    if (!mine.value.trim()) { mine.focus(); return; }
    Object.assign(body, {mode: button.dataset.mode, line: mine.value.trim()});
  }
  const call = button.closest("[data-call]").dataset.call;
  await ask(`/api/v1/calls/${encodeURIComponent(call)}/${button.dataset.operation}`, "POST", body);
});

// An alarm of the traffic early warning is acknowledged.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-acknowledge]");
  if (button) await ask(`/api/v1/thresholds/${encodeURIComponent(button.dataset.acknowledge)}/acknowledge`, "POST", {});
});

// A message to the agents of a queue or a team.
const message = document.getElementById("message");
async function recipients() {
  try {
    const answer = await fetch("/api/v1/desk/setup");
    if (!answer.ok) return;
    const setup = await answer.json();
    for (const [part, rows] of [["queues", setup.queues], ["teams", setup.teams]]) {
      for (const row of rows) {
        const option = new Option(row.label, `${part}:${row.name}`);
        message.elements.to.append(option);
      }
    }
  } catch { /* the box is away: there is nobody to send to */ }
}
message.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [part, name] = message.elements.to.value.split(":");
  if (!name || !message.elements.text.value.trim()) return;
  await ask("/api/v1/broadcasts", "POST", {text: message.elements.text.value, [part]: [name]});
  message.elements.text.value = "";
});

recipients();
setInterval(tick, 1000);
follow();
