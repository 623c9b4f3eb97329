// A telephone in the page: JsSIP over the box's own WebSocket, sound by WebRTC.  The line's password stays in this page.
// A page that is loaded anew in the middle of a call takes it over (INVITE with Replaces, RFC 3891): keep() and kept().
import { JsSIP } from "/static/vendor/jssip.js";

const place = document.getElementById("phone");
const status = document.getElementById("status");
const far = document.getElementById("far");
const show = (id, visible) => { document.getElementById(id).hidden = !visible; };
const codes = JSON.parse(place.dataset.codes);
const silent = Object.values(codes);     // numbers that only switch something: no call to talk in
const KEPT = "strowger-call", KEPT_MS = 15000;      // longer than the box waits for a page (links/sip_browsers.py)
export const phone = { ua: null, session: null, held: false, dialog: null, former: null };     // former: what is taken over, until it is
window.phone = phone;

function tell(state, more = "") {
  place.dataset.state = state;
  status.textContent = `${status.dataset[state] || ""} ${more}`.trim();
  const call = phone.session;
  show("log-in", state === "off" || state === "refused" || state === "microphone");
  show("talk", !["off", "refused", "connecting", "microphone"].includes(state));
  show("answer", state === "ringing");
  show("hang-up", Boolean(call));
  show("hold", Boolean(call) && call.isEstablished());
  show("keys", Boolean(call) && call.isEstablished());
  document.getElementById("hold").setAttribute("aria-pressed", String(phone.held));
}

function rest() {
  if (phone.session) return;
  if (phone.ua && phone.ua.isRegistered()) tell("ready");
  else tell("away");
}

const options = {
  mediaConstraints: { audio: true, video: false },
  pcConfig: { iceServers: [], bundlePolicy: "max-bundle" },     // the box is reached directly: no server of anybody's is asked
};

function party(session) {
  if (session.formerParty) return session.formerParty;      // taken over: the call went to our own line
  const who = session.remote_identity;
  return (who && (who.display_name || (who.uri && who.uri.user))) || "";
}

// Only the box's own address can answer our checks: there is nothing to wait for once there is a candidate.
function hurry(session) {
  session.on("icecandidate", (event) => event.ready());
}

function listen(connection) {
  connection.addEventListener("track", (event) => {
    far.srcObject = new MediaStream([event.track]);
    far.play().catch(() => {});
  });
}

// A call that is still to be taken over is a call: nothing may come in between.
function busy() {
  return Boolean(phone.session || phone.former);
}

function take(session) {
  phone.session = session;
  phone.held = false;
  hurry(session);
  if (session.connection) listen(session.connection);
  session.on("peerconnection", (event) => listen(event.peerconnection));
  session.on("accepted", ({ response }) => {
    phone.former = null;
    if (response) phone.dialog = { call: response.call_id, ours: response.from_tag, theirs: response.to_tag };
    tell("talking", party(session));
  });
  session.on("confirmed", () => tell("talking", party(session)));
  session.on("hold", (event) => { if (event.originator === "local") { phone.held = true; tell("held", party(session)); } });
  session.on("unhold", (event) => { if (event.originator === "local") { phone.held = false; tell("talking", party(session)); } });
  const over = (event) => {
    if (phone.session !== session) return;
    phone.session = null;
    phone.former = null;
    phone.held = false;
    if (event.cause === JsSIP.C.causes.USER_DENIED_MEDIA_ACCESS) tell("microphone");
    else rest();
  };
  session.on("ended", over);
  session.on("failed", over);
}

function called(session, request) {
  if (busy()) { session.terminate({ status_code: 486 }); return; }
  take(session);
  phone.dialog = { call: request.call_id, ours: request.to_tag, theirs: request.from_tag };
  tell("ringing", party(session));
  const wish = `${request.getHeader("Call-Info") || ""} ${request.getHeader("Alert-Info") || ""}`;
  if (/answer-after=0|alert-autoanswer/.test(wish)) session.answer(options);
}

function call(number) {
  if (!number || busy()) return;
  take(phone.ua.call(number, options));
  tell("calling", silent.includes(number) ? "" : number);
}

document.getElementById("log-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { line, password } = Object.fromEntries(new FormData(event.target));
  phone.former = null;
  tell("connecting");
  try {       // asked for now, so that the first call does not wait for a person
    (await navigator.mediaDevices.getUserMedia({ audio: true })).getTracks().forEach((track) => track.stop());
  } catch (error) {
    tell("microphone");
    return;
  }
  connect(line, { password });
});

// secret: {password}, or {realm, ha1}.  then: what is done once, when the line is registered.
function connect(line, secret, then) {
  const host = location.hostname.includes(":") ? `[${location.hostname}]` : location.hostname;
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(`wss://${location.host}/sip`)],
    uri: `sip:${encodeURIComponent(line)}@${host}`,
    authorization_user: line, ...secret, register_expires: 300, user_agent: "Strowger page",
    connection_recovery_min_interval: 1, connection_recovery_max_interval: 10,
  });
  if (phone.ua) phone.ua.stop();
  phone.ua = ua;
  if (then) ua.once("registered", then);
  ua.on("registered", rest);
  ua.on("registrationFailed", (failure) => {
    if (failure.response && [401, 403, 407].includes(failure.response.status_code)) { ua.stop(); phone.former = null; tell("refused"); }
    else rest();
  });
  ua.on("disconnected", rest);
  ua.on("newRTCSession", ({ originator, session, request }) => { if (originator === "remote") called(session, request); });
  ua.start();
}

document.getElementById("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  call(event.target.elements.number.value.trim());
  event.target.reset();
});
document.getElementById("answer").addEventListener("click", () => phone.session && phone.session.answer(options));
document.getElementById("hang-up").addEventListener("click", () => phone.session && phone.session.terminate());
// While an offer is still on its way JsSIP takes no second one: the wish waits.
function hold(session, wanted) {
  if (phone.session !== session || !session.isEstablished() || session.isOnHold().local === wanted) return;
  if (!(wanted ? session.hold() : session.unhold())) setTimeout(hold, 200, session, wanted);
}
document.getElementById("hold").addEventListener("click", () => phone.session && hold(phone.session, !phone.held));
document.getElementById("keys").addEventListener("click", (event) => {
  if (event.target.value && phone.session) phone.session.sendDTMF(event.target.value, { transportType: "RFC2833" });
});
document.querySelectorAll("[data-code]").forEach((button) => button.addEventListener("click", () => call(button.dataset.code)));
document.getElementById("leave").addEventListener("click", () => { if (phone.ua) phone.ua.stop(); phone.ua = phone.former = null; tell("off"); });

// What the page that follows this one needs to go on with the call; of the password only its digest, and for the moment only.
function keep() {
  const line = phone.ua.get("authorization_user");
  sessionStorage.setItem(KEPT, JSON.stringify(phone.former
    || { line, realm: phone.ua.get("realm"), ha1: phone.ua.get("ha1"), who: party(phone.session), ...phone.dialog, at: Date.now() }));
}

function kept() {
  const found = JSON.parse(sessionStorage.getItem(KEPT));
  sessionStorage.removeItem(KEPT);
  return found && Date.now() - found.at < KEPT_MS ? found : null;
}

function takeOver(former) {
  const { line, realm, ha1, who, call: id, ours, theirs } = former;
  phone.former = former;
  tell("connecting");
  connect(line, { realm, ha1 }, () => {
    if (phone.former !== former) return;
    const extraHeaders = [`Replaces: ${id};to-tag=${theirs};from-tag=${ours}`];
    const session = phone.ua.call(line, { ...options, extraHeaders });
    session.formerParty = who;
    take(session);
  });
}

window.addEventListener("beforeunload", () => {
  if (phone.former || (phone.session && phone.session.isEstablished() && phone.dialog)) keep();
  else if (phone.ua) phone.ua.stop();
});
tell("off");
const former = kept();
if (former) takeOver(former);
