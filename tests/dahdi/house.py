"""The whole house with span 2 on DAHDI by one line of the board's description, inside the virtual machine of hil/dahdi/vm.sh.

The far end of span 2 is libpri behind a gateway on the other end of DAHDI's loop-back pair (hil/far/dahdi.py), apart from the product; that of span 1
is libpri on the emulated board.  The call is that of tests/live/test_pseudowire.py: in on span 2, out on span 1, each octet both ways.

    no DAHDI, no such span, a channel that another program has: one alarm each with its sentence, then it comes up by itself
    a call over DAHDI; the span on the board and back by REST, the same call each time; control killed in the middle of one
    the card taken out under a call: one alarm, that call ends with its other party, a call beside it loses no octet; put back, it carries again; media killed"""

import json
import os
import random
import time

import numpy

from hil.far.client import FarExchange
from hil.far.dahdi import DAHDIGateway, open_channel
from hil.probes import exact, wav
from hil.rig import CHECKOUT, Rig
from tests.dahdi import cards

NUMBER, TANDEM, CALLER, SECONDS = "13912345678", "02150801009", "13811112222", 2
LINE = {"span": 2, "kind": "dahdi", "dahdi_span": 1}
LOOK_S, LONG_S = 0.5, 120           # of the machine's time


def material(seed, seconds, path):
    """Random A-law octets, in a file; returns them."""
    octets = random.Random(seed).randbytes(int(8000 * seconds))
    wav.write_alaw(path, wav.alaw_expand(numpy.frombuffer(octets, numpy.uint8)))
    return octets


class House(Rig):
    """gateway, card_far: the far end of span 2 over DAHDI.  say(sentence), wrong: what was found."""

    def __init__(self, folder, say):
        super().__init__(folder, spans=(1,), crc4=(1,), configure=self.routes, environment={"STROWGER_TRACE_MB": "8"})
        self.tell, self.wrong, self.seen = say, [], {}
        self.gateway = self.card_far = None

    @staticmethod
    def routes(config):
        config["trunk_groups"].append({"name": "second", "label": "Second"})
        config["spans"][0]["trunk_group"] = "second"
        config["routes"] = [{"number": "9.", "choices": [{"trunk_group": "second", "strip": 1}]}]
        config["numbers"].append({"number": TANDEM, "application": "outside", "target": "9" + NUMBER})

    def begin(self):
        board = json.loads((CHECKOUT / "boardconfig/boards/strowger64.json").read_text())
        board["bearers"] = [LINE]
        self.data_dir.mkdir(parents=True)
        (self.data_dir / "boardconfig.json").write_text(json.dumps(board))
        self.start()
        self.tell("the house is up")

    def check(self, name, found, detail=""):
        self.seen[name] = detail if found else {"NOT OK": detail}
        self.tell("%s: %s %s" % ("ok" if found else "NOT OK", name, detail))
        if not found:
            self.wrong.append("%s: %s" % (name, detail))

    def wait(self, condition, timeout_s, what):
        """As Rig's, with fewer looks: each costs the machine more than it costs a real one."""
        deadline = time.monotonic() + max(timeout_s, LONG_S)
        while not (found := condition(self.state())):
            if time.monotonic() > deadline:
                raise TimeoutError("waited in vain for %s; the state is %s" % (what, json.dumps(self.state())[:1500]))
            time.sleep(LOOK_S)
        return found

    # -- alarms and settings --

    def alarms(self):
        """Those that name span 2."""
        return [row for row in self.product.get("/alarms")["alarms"] if "span 2" in row["members"]]

    def alarm(self, name, kind, *words):
        """Wait for an alarm of span 2 of a kind whose sentence has the words; it must be the only one."""
        deadline = time.monotonic() + LONG_S
        while True:
            rows = self.alarms()
            said = [row["detail"].get("span 2", "") for row in rows if row["kind"] == kind]
            if said and all(word in said[0] for word in words) or time.monotonic() > deadline:
                break
            time.sleep(LOOK_S)
        self.check(name, len(rows) == 1 and bool(said) and all(word in said[0] for word in words), [(row["kind"], row["detail"].get("span 2")) for row in rows])

    def bearer(self, **fields):
        """Change span 2's bearer by REST, live."""
        running = self.product.get("/configuration")
        running["configuration"]["spans"][1]["bearer"].update(fields)
        self.product.post("/configuration/apply", running)

    def up(self):
        self.wait(lambda s: len(s["spans"]) == 2 and all(row["state"] == "up" for row in s["spans"]), LONG_S, "both spans up")

    # -- calls --

    def recorded(self, exchange, name):
        exchange.wait_for("record_closed", LONG_S, id=name)
        octets = (self.folder / f"{name}.wav").read_bytes()
        return octets[octets.index(b"data") + 8:]

    def place(self, name, caller, span):
        """A call that is up; returns its id at the exchange that is called."""
        self.far.policy(record_dir=self.folder, alerting_ms=50, answer_ms=100)
        mark = self.far.mark()
        caller.call(name, span=span, called=TANDEM, caller=CALLER, record=self.folder / f"{name}.wav")
        out = self.far.wait_for("incoming", LONG_S, since=mark, called=NUMBER)
        if (out["span"], out["caller"]) != (1, CALLER):
            raise RuntimeError("the call went out as %s" % out)
        caller.wait_for("connect", LONG_S, id=name)
        time.sleep(0.2)
        return out["id"]

    def speak(self, name, caller, out, seconds=SECONDS):
        called_says = material(5, seconds, self.folder / f"{name}-called.wav")
        caller_says = material(6, seconds, self.folder / f"{name}-caller.wav")
        caller.play(name, self.folder / f"{name}-caller.wav")
        self.far.play(out, self.folder / f"{name}-called.wav")
        return called_says, caller_says

    def hear(self, name, caller, out, said):
        """End the call; what each heard of the other."""
        caller.wait_for("play_done", LONG_S, id=name)
        self.far.wait_for("play_done", LONG_S, id=out)
        time.sleep(0.3)
        caller.hangup(name)
        caller.wait_for("released", LONG_S, id=name)
        self.far.wait_for("released", LONG_S, id=out)
        return exact.match(said[0], self.recorded(caller, name)), exact.match(said[1], self.recorded(self.far, out))

    def talk(self, name, caller, span=2, during=None):
        out = self.place(name, caller, span)
        said = self.speak(name, caller, out)
        if during:
            time.sleep(0.5)
            during()
        heard = self.hear(name, caller, out, said)
        self.check("the call %s is octet exact both ways" % name, all(match.exact for match in heard), [str(match) for match in heard])

    # -- what must show --

    def absent(self):
        """Bad input before there is a card."""
        self.alarm("a machine without DAHDI", "configuration", "there is no /dev/dahdi", "load DAHDI")
        self.check("span 1 is up without it", next(row["state"] for row in self.state()["spans"] if row["span"] == 1) == "up")
        self.bearer(kind="dahdi", dahdi_span=9)
        cards.load()
        cards.configure(*cards.FRAMES, *cards.FAR_OCTETS)
        self.alarm("a span that DAHDI has not", "configuration", "DAHDI span 9", "only 1, 2")
        other = open_channel(5)
        self.bearer(kind="described", dahdi_span=0)
        self.alarm("a channel of another program", "configuration", "DAHDI span 1 (DYN/loc", "channel 5 (timeslot 5) is in use by another program")
        self.gateway = DAHDIGateway(self.folder / "far", 2, 32).start()
        self.card_far = FarExchange(self.folder / "far", [2]).start(30)
        os.close(other)
        self.up()
        self.check("it comes up by itself", self.alarms() == [], self.alarms())

    def call(self):
        """One line of the description."""
        line = self.product.get("/lines")["lines"]["2"]["bearer"]
        self.check("span 2 is carried by DAHDI", line["kind"] == "dahdi" and line["remote"] == "DAHDI span 1", line)
        self.talk("dahdi", self.card_far)

    def removal(self):
        """The card taken out under a call, another call beside it."""
        over = self.place("over", self.card_far, 2)
        beside = self.place("beside", self.far, 1)
        said = self.speak("beside", self.far, beside, 4)
        time.sleep(1)
        before = self.product.get("/media")["tick"]
        device = cards.take_out()
        heard = self.hear("beside", self.far, beside, said)
        tick = self.product.get("/media")["tick"]
        self.check("a call beside it loses no octet", all(match.exact for match in heard),
                   [*map(str, heard), {name: tick[name] - before[name] for name in ("late_ticks", "late_ticks_by_host")}])
        self.far.hangup(over)           # else the call waits T309 (90 s) for its D channel, Q.931 5.8.9
        self.far.wait_for("released", LONG_S, id=over)
        self.alarm("the card taken out under a call", "card", "DAHDI span 1 (DYN/loc", "taken out")
        self.check("span 1 is up without it", next(row["state"] for row in self.state()["spans"] if row["span"] == 1) == "up")
        cards.put_back(device, [*cards.FRAMES, *cards.FAR_OCTETS])
        self.up()
        self.wait(lambda s: not self.alarms(), LONG_S, "the alarm's end")
        self.talk("again", self.card_far)

    def moves(self):
        """By REST to the board and back; control killed in the middle of a call, then media."""
        self.bearer(kind="board")
        with FarExchange(self.run_dir, [2]) as board_far:
            board_far.wait_for("link_up", LONG_S, span=2)
            self.up()
            self.talk("board", board_far)
        self.bearer(kind="dahdi", dahdi_span=1)
        self.up()
        self.talk("back", self.card_far)
        self.talk("control", self.card_far, during=lambda: self.kill("control"))
        running = self.product.get("/configuration")
        running["configuration"]["spans"][1]["bearer"]["dahdi_span"] = 999
        errors = self.product.post("/configuration/propose", running["configuration"])["errors"]
        self.check("a number that cannot be is refused", any("dahdi_span" in error["path"] for error in errors), errors)
        self.kill("media")
        time.sleep(2)
        self.up()
        self.talk("media", self.card_far)

    def stop(self):
        super().stop()
        for part in (self.card_far, self.gateway):
            if part is not None:
                part.stop()


def run(result, say):
    """Returns what is wrong."""
    with House("/tmp/house", say) as house:
        try:
            house.begin()
            house.absent()
            house.call()
            house.removal()
            house.moves()
            result["figures"] = house.product.get("/lines")["lines"]["2"]["bearer"]["figures"]
            result["gateway"] = house.gateway.figures()
        except Exception:
            for name in ("media", "control"):
                log = house.data_dir / "log" / f"{name}.log"
                if log.exists():
                    print(log.read_text(errors="replace")[-3000:], flush=True)
            raise
        finally:
            result["seen"] = house.seen
        return house.wrong
