// The agent's page: the own row and messages arrive as server-sent events, what is known of a call is fetched when it changes.
"use strict";
const desk = document.getElementById("desk");
const lost = document.getElementById("lost");
const place = (id) => document.getElementById(id);
let offset = 0, now = {}, shownKey = "";

async function ask(path, method, body) {
  try {
    const answer = await fetch(path, {method, headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    if (answer.ok) return true;
    alert((await answer.json()).detail);
  } catch { alert(lost.textContent); }
  return false;
}

async function fill(id, path) {
  try {
    const answer = await fetch(path, {credentials: "same-origin"});
    if (answer.ok && !answer.redirected) place(id).innerHTML = await answer.text();
  } catch { /* the box is away: what is shown stays */ }
}

async function showCall(always) {
  const key = `${now.call} ${now.known}`;
  if (!now.call || (!always && key === shownKey)) return;
  // What a person is writing is not taken away by news of the same call.
  const writes = place("call").contains(document.activeElement) && document.activeElement.value;
  if (!always && writes && shownKey.startsWith(`${now.call} `)) return;
  shownKey = key;
  await fill("call", `/desk/call/${now.call}`);
}

function tick() {
  const at = Date.now() + offset;
  for (const time of document.querySelectorAll("time[data-since]")) {
    const s = Math.max(0, Math.floor((at - Number(time.dataset.since)) / 1000));
    time.textContent = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  }
}

function follow() {
  const source = new EventSource(`/desk/live?agent=${encodeURIComponent(desk.dataset.agent)}`);
  source.addEventListener("me", (event) => {
    lost.hidden = true;
    if (place("me").contains(document.activeElement) && document.activeElement.matches("select")) document.activeElement.blur();
    place("me").innerHTML = JSON.parse(event.data);
    tick();
  });
  source.addEventListener("now", (event) => {
    const before = now;
    now = JSON.parse(event.data);
    showCall(false);
    if (before.state !== now.state) fill("figures", `/desk/figures/${encodeURIComponent(desk.dataset.agent)}`);
  });
  source.addEventListener("clock", (event) => { offset = Number(event.data) - Date.now(); });
  source.addEventListener("open", () => { lost.hidden = true; });
  source.addEventListener("error", () => {
    lost.hidden = false;
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  });
}

document.addEventListener("change", async (event) => {
  if (event.target.id !== "status") return;
  const body = {status: event.target.value}, reasons = place("reasons");
  if (body.status === "on_break" && reasons.elements.reason.options.length) {
    if (reasons.hidden) { reasons.hidden = false; reasons.elements.reason.focus(); }
    body.reason = reasons.elements.reason.value;
  }
  await ask(`/api/v1/agents/${encodeURIComponent(desk.dataset.agent)}/status`, "PUT", body);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const agent = desk.dataset.agent;
  if (button.dataset.seen) await ask(`/api/v1/broadcasts/${button.dataset.seen}/seen`, "POST", {agent});
  else if (button.dataset.allSeen) for (const one of button.dataset.allSeen.split(" ")) await ask(`/api/v1/broadcasts/${one}/seen`, "POST", {agent});
  else if (button.dataset.wrapUp) await ask(`/api/v1/agents/${encodeURIComponent(agent)}/wrap_up`, "POST", {end: button.dataset.wrapUp === "end"});
  else if (button.dataset.ticketState) {
    const ticket = button.closest("[data-ticket-id]").dataset.ticketId;
    if (await ask(`/api/v1/tickets/${ticket}`, "POST", {revision: Number(button.dataset.revision), state: button.dataset.ticketState})) showCall(true);
  }
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id === "search") {
    event.preventDefault();
    await fill("articles", `/desk/articles?text=${encodeURIComponent(form.elements.text.value)}`);
    return;
  }
  if (!form.dataset.post) return;
  event.preventDefault();
  const body = {};
  for (const input of form.elements) {
    if (!input.name || input.name.startsWith("field.") || !input.value) continue;
    body[input.name] = input.value;
  }
  if (form.dataset.ticket) {
    body.template = form.dataset.ticket;
    body.fields = {};
    for (const input of form.elements) {
      if (!input.name.startsWith("field.")) continue;
      const name = input.name.slice(6), kind = input.dataset.type;
      if (kind === "flag") body.fields[name] = input.checked;
      else if (input.value) body.fields[name] = kind === "whole" ? Number(input.value) : input.value;
    }
  } else body.agent = desk.dataset.agent;
  if (await ask(form.dataset.post, "POST", body)) { document.activeElement.blur(); showCall(true); }
});

if (desk) { setInterval(tick, 1000); follow(); }
