// The live page: parts of it arrive as server-sent events and replace what was there.
"use strict";
const parts = ["alarms", "spans", "queues", "agents", "calls"];
const lost = document.getElementById("lost");
const held = {};   // parts that came while the person was using a control inside them

function show(part, html) {
  const place = document.getElementById(part);
  if (place.contains(document.activeElement) && document.activeElement.matches("select")) {
    held[part] = html;
    return;
  }
  place.innerHTML = html;
  tick();
}

function tick() {
  const now = Date.now();
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
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("error", () => {
    lost.hidden = false;
    // A refused stream (signed out, web process starting) is not tried again by the browser itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  });
}

document.addEventListener("focusout", () => {
  for (const [part, html] of Object.entries(held)) {
    delete held[part];
    setTimeout(() => show(part, html), 0);
  }
});

document.addEventListener("change", async (event) => {
  const select = event.target.closest("select.status");
  if (!select) return;
  const answer = await fetch(`/api/v1/agents/${encodeURIComponent(select.dataset.agent)}/status`, {
    method: "PUT", headers: {"Content-Type": "application/json"}, body: JSON.stringify({status: select.value}),
  });
  if (!answer.ok) alert((await answer.json()).detail);
  select.blur();
});

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form.hangup");
  if (!form) return;
  event.preventDefault();
  const answer = await fetch(`/api/v1/calls/${encodeURIComponent(form.dataset.call)}/hangup`, {method: "POST"});
  if (!answer.ok) alert((await answer.json()).detail);
});

setInterval(tick, 1000);
follow();
