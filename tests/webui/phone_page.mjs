// webui/static/phone.js in node: a page of stubs, a JsSIP that notes what is asked of it.
//   node phone_page.mjs PHONE_JS CASE        prints JSON
// Each case is what a browser and the box do to the page, in order.
import { readFileSync } from "node:fs";

const [, , script, name] = process.argv;
const log = [], elements = {}, agents = [], stored = {};

class Emitter {
  constructor() { this.heard = {}; }
  on(event, then) { (this.heard[event] ||= []).push(then); }
  once(event, then) { this.on(event, (...given) => { if (then) { then(...given); then = null; } }); }
  emit(event, ...given) { for (const then of this.heard[event] || []) then(...given); }
}

class Session extends Emitter {
  constructor(who) { super(); this.who = who; this.remote_identity = { display_name: who }; }
  terminate(how = {}) { log.push(`${this.who} ended with ${how.status_code || "BYE"}`); this.emit("ended", {}); }
  isEstablished() { return Boolean(this.stands); }
  isOnHold() { return { local: false }; }
  answer() { this.stands = true; this.emit("accepted", {}); }
}

class UA extends Emitter {
  constructor(settings) { super(); this.settings = settings; agents.push(this); }
  start() {}
  stop() {}
  isRegistered() { return Boolean(this.registered); }
  get(key) { return this.settings[key]; }
  call(number, options) {
    const session = new Session("own");
    log.push(`calls ${number} ${(options.extraHeaders || []).join()}`);
    return session;
  }
}

const element = () => ({ dataset: { codes: "{}" }, hidden: false, setAttribute() {}, listeners: {}, addEventListener(event, then) { this.listeners[event] = then; },
                         elements: { number: { value: "9" } }, reset() {} });
globalThis.document = { getElementById: (id) => (elements[id] ||= element()), querySelectorAll: () => [] };
globalThis.window = { listeners: {}, addEventListener(event, then) { this.listeners[event] = then; } };
globalThis.location = { hostname: "box", host: "box:443" };
globalThis.sessionStorage = { getItem: (key) => stored[key] ?? null, setItem: (key, value) => { stored[key] = value; }, removeItem: (key) => { delete stored[key]; } };
globalThis.FormData = class { *[Symbol.iterator]() { yield ["line", "1001"]; yield ["password", "secret"]; } };
Object.defineProperty(globalThis, "navigator", { value: { mediaDevices: { getUserMedia: async () => ({ getTracks: () => [] }) } } });
globalThis.JsSIP = { UA, WebSocketInterface: class {}, C: { causes: {} } };

const kept = { line: "1001", realm: "strowger", ha1: "x", who: "139", call: "c@box", ours: "o", theirs: "t", at: Date.now() };
const register = () => { agents.at(-1).registered = true; agents.at(-1).emit("registered"); };
const comesIn = (who) => { const session = new Session(who); agents.at(-1).emit("newRTCSession", { originator: "remote", session, request: { call_id: who, getHeader: () => "" } }); return session; };
const CASES = {
  between() { comesIn("early"); register(); comesIn("late"); window.phone.session.answer(); },
  dialled() { elements.dial.listeners.submit({ preventDefault() {}, target: elements.dial }); register(); },
  after() { register(); window.phone.session.emit("failed", {}); comesIn("next"); },
  async refused() { agents[0].emit("registrationFailed", { response: { status_code: 403 } }); await elements["log-in"].listeners.submit({ preventDefault() {}, target: {} }); register(); comesIn("next"); },
};

stored["strowger-call"] = JSON.stringify(kept);
const text = readFileSync(script, "utf8").replace(/^import .*jssip.*$/m, "const { JsSIP } = globalThis;");
await import("data:text/javascript," + encodeURIComponent(text));
await CASES[name]();
console.log(JSON.stringify({ log, state: elements.phone.dataset.state, talks: window.phone.session && window.phone.session.who, former: Boolean(window.phone.former) }));
