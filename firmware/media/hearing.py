"""What a leg is listened to besides its digits, and how its tick events become messages: the command `detect`.

    detect{id, dtmf?, modem?, progress?: bool, answer?: null|{greeting_ms?, ...}, caller_id?: null|"bell202"|"v23", quiet_s?: 0 (off)..600}
        What is not named stays.  From the next tick on; refused (cause 47) where the tick has no room for it.

modem       tones of fax machines and modems (dsp/modem.py): modem_tone{id, tone, on}
progress    tones of the call's progress by the country's plan (command `tones`), dial tone among them:
            progress{id, tone, on}, tone as the plan names it
answer      person or machine, from now on (dsp/amd.py): answer{id, who, ms|hz, words}
caller_id   FSK messages (dsp/fsk.py, dsp/callerid.py): caller_id{id, fields} or, broken on the way, caller_id{id, error}
quiet_s     nobody speaks on the leg for so long, while it is in a bridge (quiet.py); the speech detector (dsp/vad.py) works for it
"""

import logging
import time

from dsp import callerid, fsk, progress
from firmware.errors import LocalError
from firmware.media import _engine
from firmware.media.checks import boolean, number, refuse
from firmware.media.kernels import ANSWERS, MODEM_TONES
from firmware.media.settings import answer_blocks, answer_parameters

log = logging.getLogger("firmware.media.hearing")

WISHES = ("dtmf", "modem", "progress", "answer", "caller_id", "quiet_s")
QUIET_MOST_S = 600          # ours


class Hearing:
    """The part of Table that listens.  Needs find(), later(), price(), work_on(), quiet and _engine."""

    progress_names, progress_serial, _progress_table = {}, 0, None      # of the country's tones, {number: name}
    progress_fault = "the country's tones have not been told yet"

    def set_progress(self, plan):
        """The country's tones, from now on.  One that cannot be told apart leaves detection off, and `detect` says why."""
        try:
            table, numbers = progress.compile_plan(plan)
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            self.progress_fault = f"the country's tones cannot be told apart ({error})"
            log.error("call progress is not detected: %s", self.progress_fault)
            return
        former = self._progress_table
        self.progress_fault, self._progress_table = None, table
        self.progress_names = {number: name for name, number in numbers.items()}
        self.progress_serial += 1
        self._engine.set_progress(table, self.progress_serial)
        self.later(lambda: former)              # the tick may use it until then

    def detect(self, p):
        """What is listened for in a leg's received audio; what is not named stays."""
        term = self.find(p.get("id"), "detect: id")
        if not any(name in p for name in WISHES):
            refuse(f"detect: {', '.join(WISHES[:-1])} or {WISHES[-1]} is missing; name what to listen for")
        wanted = dict(term.hears)
        for name in ("dtmf", "modem", "progress"):
            wanted[name] = boolean(p.get(name, wanted[name]), "detect: " + name)
        if "answer" in p:
            wanted["answer"] = answer_parameters(p["answer"])
        wanted["caller_id"] = p.get("caller_id", wanted["caller_id"])
        if wanted["caller_id"] is not None and wanted["caller_id"] not in _engine.FSK_PLANS:
            refuse(f"detect: caller_id is {str(wanted['caller_id'])[:40]!r}, not null, {' or '.join(_engine.FSK_PLANS)}")
        wanted["quiet_s"] = number(p.get("quiet_s", wanted["quiet_s"]), "detect: quiet_s", 0, QUIET_MOST_S)
        if term.clear and wanted != term.hears:
            refuse(f"detect: {term.id} carries data (64 kbit/s unrestricted); there is nothing to hear", 88)
        if wanted["progress"] and self.progress_fault:
            refuse(f"detect: {self.progress_fault}; correct the country's tone plan")
        if wanted != term.hears:
            self.price(term, f"detect: no room for {term.id}", hears=wanted)
            self._hear(term, term.hears, wanted)
            watched, term.hears = term.hears["quiet_s"], wanted
            if wanted["quiet_s"] != watched:
                self.work_on(term)
                self.quiet.watch(term, time.monotonic())
        self._engine.commit()
        return {}

    def _hear(self, term, old, new):
        engine, slot = self._engine, term.slot
        if new["dtmf"] != old["dtmf"]:
            engine.detect(slot, new["dtmf"])
        if (new["modem"], new["answer"]) != (old["modem"], old["answer"]):
            if old["answer"] is not None and new["answer"] is not None:
                engine.hear(slot, new["modem"], 0, ())          # other parameters: it begins anew
            engine.hear(slot, new["modem"], new["answer"] is not None, answer_blocks(new["answer"]) if new["answer"] is not None else ())
        if new["progress"] != old["progress"]:
            engine.progress(slot, new["progress"])
        if new["caller_id"] != old["caller_id"]:
            engine.fsk(slot, -1 if new["caller_id"] is None else _engine.FSK_PLANS.index(new["caller_id"]))
            term.octets = fsk.Receiver()

    def press(self, p):
        """An RTP leg presses a key, as its signalling has said."""
        term = self.find(p.get("id"), "press: id")
        digit = p.get("digit")
        if term.kind != "rtp" or not isinstance(digit, str) or len(digit) != 1 or digit not in _engine.EVENT_DIGITS:
            refuse(f"press: {term.id}, {str(digit)[:20]!r}: an rtp termination presses one of {_engine.EVENT_DIGITS}")
        duration_ms = number(p.get("duration_ms"), "press: duration_ms", 10, 10000)
        self._engine.press(term.slot, _engine.EVENT_DIGITS.index(digit), duration_ms // 10)
        self._engine.commit()
        return {}

    def heard(self, kind, term, a, value, other):
        """One event of the tick as fields for control, or None."""
        if kind == "digit":
            return {"id": term.id, "digit": chr(a), "duration_ms": value, "source": "event" if other else "inband"}
        if kind == "key":
            return {"id": term.id, "digit": chr(a), "duration_ms": value}
        if kind == "voice":
            term.speaks = bool(a)
            self.quiet.spoke(term, time.monotonic())
            return {"id": term.id, "speech": bool(a)} if term.enhance["vad"] else None
        if kind == "modem_tone":
            return {"id": term.id, "tone": MODEM_TONES[a], "on": bool(value)}
        if kind == "answer":
            return {"id": term.id, "who": ANSWERS[a], **({"hz": value} if ANSWERS[a] == "beep" else {"ms": value}), "words": other}
        if kind == "tone_2100":
            self.quiet.modem(term)
            return {"id": term.id, "tone": ("gone", "plain", "reversing")[a]}
        if kind == "progress":
            known = other == self.progress_serial and a in self.progress_names
            return {"id": term.id, "tone": self.progress_names[a], "on": bool(value)} if known else None
        if kind == "caller_id" and term.octets is not None:
            return self._octet(term, {"kind": a, "octet": value, "gap": other})
        return None

    @staticmethod
    def _octet(term, event):
        errors = term.octets.errors
        message = term.octets.feed(event)
        if message is None:
            return {"id": term.id, "error": "a message broke off or its checksum is wrong"} if term.octets.errors > errors else None
        try:
            return {"id": term.id, "fields": callerid.parse(*message)}
        except ValueError as error:
            return {"id": term.id, "error": str(error)}
