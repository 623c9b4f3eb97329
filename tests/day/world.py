"""The world of a simulated day: callers, trunks, agents with their telephones, and media; it keeps its own truth.

Everything is an event at a moment of simulated time.  The switch is a process of its own (tests/day/switch.py) that is
told what happens and says what to do.  The truth is what the world's own stop-watches say; it knows nothing of
queues, journal or statistics, so it can be compared with them.

    world = World(plan, folder)         starts the switch
    world.run(until_ms, deaths)         deaths: [(ms of the day, "before"|"written"|"committed")]
    world.report(...)
    world.truth

Media: a prompt lasts PROMPT_S, what repeats lasts for ever, a bridge of a caller and a telephone is a conversation.
"""

import collections
import heapq
import json
import pathlib
import random
import subprocess
import sys

import msgpack

from tests.day.plan import BEGIN_MS

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PROMPT_S = {"greeting": 4, "menu": 7, "please_wait": 3, "goodbye": 2, "queue_full": 3}     # each language
RESTART_MS = 700                # of the world's time until a new switch listens
PATIENCE_S, TALK_S, TALK_SHAPE = 150, 150, 0.6
FIRST_CAUSE, BUSY = 16, 17
REFUSED_S = 15                  # that two talk on whose transfer is refused


class Died(Exception):
    """The switch's process is gone."""


class Call:
    """A caller, as the world sees it."""

    def __init__(self, caller, number, choice, slot, now):
        self.caller, self.number, self.choice, self.slot = caller, number, choice, slot
        self.began, self.answered, self.ended = now, None, None
        self.talks = []             # [agent, from, to]
        self.patience = 0           # number of the present hope; an older one's end means nothing
        self.how = None


class Phone:
    """An agent's telephone while it has a leg."""

    def __init__(self, agent, call):
        self.agent, self.call, self.answered, self.peer, self.talk, self.other = agent, call, False, None, None, None


class World:
    """See the module's docstring."""

    def __init__(self, plan, folder):
        self.plan, self.folder, self.now = plan, pathlib.Path(folder), BEGIN_MS
        self.rng = random.Random("%d world" % plan.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "configuration.json").write_text(json.dumps(plan.configuration))
        self.heap, self.count, self.number = [], 0, 0
        self.batch, self.deadline = [], None
        self.callers, self.phones = {}, {}
        self.terminations = set()       # of media: they stand until the switch takes them away, whoever has hung up
        self.signals, self.bridges, self.recordings = {}, {}, {}
        self.free = collections.deque((span + 1, slot) for span in range(plan.spans) for slot in range(1, 32) if slot != 16)
        self.truth = {"blocked": 0, "calls": [], "offers": 0, "deaths": [], "events": 0}
        self.process, self.exceptions, self.die = None, 0, None
        self._start()
        self._send({"now": self.now, "resume": self._audit()})

    # -- time --

    def at(self, when_ms, function, *arguments):
        """Something will happen."""
        self.count += 1
        heapq.heappush(self.heap, (when_ms, self.count, function, arguments))

    def after(self, seconds, function, *arguments):
        """The same, from now on."""
        self.at(self.now + max(1, round(seconds * 1000)), function, *arguments)

    def fill(self):
        """The plan's events of the whole day."""
        for agent in self.plan.agents:
            self.at(BEGIN_MS, self._say, {"kind": "line.registered", "line": agent})
        for agent, pieces in self.plan.shifts.items():
            for begin, _, status, reason in pieces:
                self.at(BEGIN_MS + begin, self._say, {"kind": "agent.status", "agent": agent, "status": status, "reason": reason, "by": "agent"})
            self.at(BEGIN_MS + pieces[-1][1], self._say, {"kind": "agent.status", "agent": agent, "status": "logged_out", "by": "agent"})
        for at, *call in self.plan.calls():
            self.at(BEGIN_MS + at, self._arrive, *call)

    def run(self, until_ms, deaths=(), progress=None):
        """Let time pass, until_ms of the day included."""
        deaths = collections.deque(sorted(deaths))
        while True:
            moments = [self.heap[0][0]] if self.heap else []
            if self.deadline is not None:
                moments.append(self.deadline)
            if not moments or min(moments) > BEGIN_MS + until_ms:
                break
            self.now = max(self.now, min(moments))
            while self.heap and self.heap[0][0] <= self.now:
                _, _, function, arguments = heapq.heappop(self.heap)
                function(*arguments)
            if deaths and self.die is None and self.now >= BEGIN_MS + deaths[0][0]:
                self.die = deaths.popleft()[1]
            self._exchange()
            if progress is not None:
                progress(self.now - BEGIN_MS)
        self.now = max(self.now, BEGIN_MS + until_ms)

    # -- the switch --

    def _start(self):
        self.process = subprocess.Popen([sys.executable, "-m", "tests.day.switch", str(self.folder)], cwd=CHECKOUT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.unpacker = msgpack.Unpacker(strict_map_key=False)
        return self._message()["ready"]

    def _message(self):
        while True:
            for message in self.unpacker:
                return message
            octets = self.process.stdout.read(1 << 16)
            if not octets:
                raise Died
            self.unpacker.feed(octets)

    def _send(self, message):
        """Tell, and do what is ordered until it is done.  Returns the last answer."""
        try:
            self.process.stdin.write(msgpack.packb(message))
        except BrokenPipeError:
            raise Died from None
        while True:
            answer = self._message()
            for leg in answer.get("gone", ()):
                self._cancelled(leg)
            for action in answer.get("actions", ()):
                self._do(action)
            if "done" in answer:
                self.deadline, self.exceptions = answer["done"], answer["exceptions"]
                return answer

    def _exchange(self):
        """Everything that happened now, and what follows from it at once."""
        while True:
            batch, self.batch = self.batch, []
            due = self.deadline is not None and self.deadline <= self.now
            if not (batch or due):
                return
            message = {"now": self.now, "events": batch, "expire": due}
            try:
                self._send({**message, "die": self.die} if self.die else message)
            except Died:
                if self.die is None:
                    raise
                self._reborn()
                # What was not acknowledged comes again; a telephone that rang has nothing to say any more.
                again = [entry for entry in batch if self._stands(entry[1].get("leg"))]
                self._send({"now": self.now, "events": again, "expire": due})

    def _stands(self, leg):
        return leg is None or leg in self.phones or not leg.startswith("l")

    def _reborn(self):
        """The switch was killed; another one takes over while the world goes on."""
        code = self.process.wait()
        assert code == -9, "the switch ended by itself with code %d" % code
        self.process.stdin.close()
        self.process.stdout.close()
        self.now += RESTART_MS
        self.die, die = None, self.die
        replayed = self._start()
        self.truth["deaths"].append({"at_ms": self.now - BEGIN_MS, "where": die, "legs": len(self.callers) + len(self.phones), "replayed": replayed})
        self._send({"now": self.now, "resume": self._audit()})

    def _audit(self):
        return {"terminations": [{"id": leg} for leg in sorted(self.terminations)],
                "bridges": [{"id": bridge, "legs": list(legs)} for bridge, legs in self.bridges.items()],
                "signals": [{"id": leg, "token": token} for leg, (token, _) in self.signals.items()],
                "recordings": [{"id": recording} for recording in self.recordings]}

    def report(self, from_ms, to_ms, interval):
        """The switch's own reports."""
        return self.ask({"report": [(BEGIN_MS + from_ms) // 1000, (BEGIN_MS + to_ms) // 1000, interval]})["report"]

    def ask(self, question):
        """A question about itself to the switch."""
        return self._send({"now": self.now, **question})

    def close(self):
        """End the switch in order."""
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def _say(self, event):
        self.number += 1
        self.truth["events"] += 1
        self.batch.append([self.number, event])

    # -- callers --

    def _arrive(self, caller, number, choice):
        if not self.free:
            self.truth["blocked"] += 1
            return
        slot = self.free.popleft()
        leg = "t%d" % (self.number + 1)
        self.terminations.add(leg)
        self.callers[leg] = Call(caller, number, choice, slot, self.now)
        self._say({"kind": "leg.offered", "leg": leg, "tech": "pri", "trunk_group": "carrier", "span": slot[0], "timeslot": slot[1],
                   "caller": caller, "caller_presentation": "allowed", "caller_type": "national", "called": self.plan.numbers[number],
                   "called_complete": True, "bearer": "speech"})

    def _press(self, leg, token, digit):
        if self.signals.get(leg, (None,))[0] == token or leg in self.callers and leg not in self.signals:
            self._say({"kind": "media.digit", "leg": leg, "digit": digit})

    def _hears(self, leg, call, token, items):
        """What a caller makes of a prompt."""
        prompts = [item.get("prompt") for item in items]
        if "menu" in prompts:
            kind = self.rng.random()
            if kind < 0.03:
                return                                          # says nothing; the menu comes again
            digit = "7" if kind < 0.08 else str(call.choice + 1)
            self.after(self.rng.uniform(1, 13), self._press, leg, token, digit)
        elif "goodbye" in prompts or "queue_full" in prompts:
            call.patience += 1                                  # nothing to wait for any more
        elif "please_wait" in prompts:
            self._hope(leg, call, 2 if self.rng.random() < 0.03 else PATIENCE_S)

    def _hope(self, leg, call, mean_s):
        call.patience += 1
        self.after(self.rng.expovariate(1 / mean_s), self._gives_up, leg, call.patience)

    def _gives_up(self, leg, patience):
        call = self.callers.get(leg)
        if call is not None and call.patience == patience:
            self._hangs_up(leg, call, "abandoned")

    def _hangs_up(self, leg, call, how):
        call.how = how
        self._end(leg, call, "far")

    def _end(self, leg, call, by):
        del self.callers[leg]
        self.signals.pop(leg, None)
        call.ended = self.now
        self._separate(leg)
        self.free.append(call.slot)
        self.truth["calls"].append(call)
        self._say({"kind": "leg.released", "leg": leg, "cause": FIRST_CAUSE, "by": by})

    # -- conversations --

    def _separate(self, leg):
        for phone in self.phones.values():
            if phone.peer == leg and phone.talk is not None:
                phone.talk[2], phone.talk = self.now, None

    def _bridge(self, bridge, legs):
        """Who is held is in no bridge: the conversation ends with a leg, not with the bridge."""
        if not legs:
            self.bridges.pop(bridge, None)
            return
        self.bridges[bridge] = legs
        callers, phones = [leg for leg in legs if leg in self.callers], [leg for leg in legs if leg in self.phones]
        if len(callers) != 1 or len(phones) != 1 or self.phones[phones[0]].talk is not None:
            return
        call, phone = self.callers[callers[0]], self.phones[phones[0]]
        call.patience += 1                                      # no longer waits
        phone.peer, phone.talk = callers[0], [phone.agent, self.now, None]
        call.talks.append(phone.talk)
        length = self.rng.lognormvariate(0, TALK_SHAPE) * TALK_S / 1.197          # exp(shape^2 / 2): so the mean is TALK_S
        if self.rng.random() < 0.08:
            self.after(length * 0.4, self._hold, phones[0], True)
            self.after(length * 0.6, self._hold, phones[0], False)
        kind = self.rng.random()
        if kind < 0.04:
            self.after(length, self._transfer, phones[0], call)
        elif kind < 0.7:
            self.after(length, self._over, callers[0], phones[0], True)
        else:
            self.after(length, self._over, callers[0], phones[0], False)

    def _hold(self, leg, on):
        if leg in self.phones and self.phones[leg].talk is not None:
            self._say({"kind": "command.hold" if on else "command.retrieve", "call": self.phones[leg].call})

    def _transfer(self, leg, call):
        if leg in self.phones and self.phones[leg].talk is not None:
            self._say({"kind": "command.transfer", "call": self.phones[leg].call, "to": "queue",
                       "target": "q%d%d" % (call.number, self.rng.randrange(4)), "by": self.phones[leg].agent})
            self.after(REFUSED_S, self._over, self.phones[leg].peer, leg, False)        # a full queue takes nobody: they talk on for a while

    def _over(self, leg, phone, by_caller):
        if leg not in self.callers or phone not in self.phones or self.phones[phone].talk is None:
            return
        if by_caller:
            self._hangs_up(leg, self.callers[leg], "talked")
        else:
            self._release_phone(phone, FIRST_CAUSE, "far")

    # -- telephones --

    def _rings(self, action):
        leg, agent = action["leg"], action["line"]
        self.terminations.add(leg)
        self.phones[leg] = Phone(agent, action["call"])
        self.truth["offers"] += 1
        kind = self.rng.random()
        self.after(self.rng.uniform(0.05, 0.4), self._phone_says, leg, "leg.alerting")
        if kind < 0.005:
            self.after(self.rng.uniform(0.5, 3), self._refuse, leg)
        elif kind > 0.015:
            self.after(self.rng.uniform(1, 7), self._phone_says, leg, "leg.answered")

    def _phone_says(self, leg, kind):
        phone = self.phones.get(leg)
        if phone is None:
            return
        phone.answered = phone.answered or kind == "leg.answered"
        self._say({"kind": kind, "leg": leg})

    def _refuse(self, leg):
        if leg in self.phones:
            self._release_phone(leg, BUSY, "far")

    def _release_phone(self, leg, cause, by):
        phone = self.phones.pop(leg)
        if phone.talk is not None:
            phone.talk[2] = self.now
            if self.rng.random() < 0.5:
                self.after(self.rng.uniform(3, 24), self._say, {"kind": "command.wrap_up", "agent": phone.agent, "end": True})
        self._say({"kind": "leg.released", "leg": leg, "cause": cause, "by": by})

    def _cancelled(self, leg):
        """The switch that rang died: the telephone falls silent, nobody is told."""
        self.phones.pop(leg, None)

    # -- orders --

    def _do(self, action):
        do, leg = action["do"], action.get("leg")
        if do == "leg.create":
            self._rings(action)
        elif do == "leg.answer":
            if leg in self.callers and self.callers[leg].answered is None:
                self.callers[leg].answered = self.now
        elif do == "leg.release":
            if leg in self.callers:
                self.callers[leg].how = "cleared"
                self._end(leg, self.callers[leg], "near")
            elif leg in self.phones:
                self._release_phone(leg, action["cause"], "near")
            else:
                self._say({"kind": "leg.released", "leg": leg, "cause": action["cause"], "by": "near"})
        elif do == "media.signal":
            if leg in self.callers:
                token, items = action["token"], action["items"]
                self.signals[leg] = (token, None)
                if action.get("repeat", 1):
                    seconds = sum(PROMPT_S.get(item.get("prompt"), 1) for item in items)
                    self.after(seconds, self._played, leg, token)
                self._hears(leg, self.callers[leg], token, items)
        elif do == "media.stop":
            token, _ = self.signals.pop(leg, (None, None))
            if token is not None:
                self._say({"kind": "media.signal_complete", "leg": leg, "token": token, "reason": "stopped"})
        elif do == "media.subtract":
            self.terminations.discard(leg)
        elif do == "media.bridge":
            self._bridge(action["bridge"], list(action["legs"]))
        elif do == "media.record":
            self.recordings[action["recording"]] = self.now
        elif do == "media.record_stop":
            began = self.recordings.pop(action["recording"], None)
            if began is not None:
                self._say({"kind": "media.record_closed", "recording": action["recording"], "octets": 16 * (self.now - began),
                           "duration_ms": self.now - began})

    def _played(self, leg, token):
        if self.signals.get(leg, (None,))[0] == token:
            del self.signals[leg]
            self._say({"kind": "media.signal_complete", "leg": leg, "token": token, "reason": "done"})
