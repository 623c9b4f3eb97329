"""Moves of the tests that listen octet by octet: a probe phone as the agent, material, the host's excuses.

Nothing here imports the product."""

import contextlib
import random
import warnings

import numpy as np

from hil import speech
from hil.board import bench
from hil.board.clock import BoardClock
from hil.phone.probe import ProbePhone
from hil.probes import wav

AGENT = "1002"
ATTEMPTS = 3              # a measurement that the host itself disturbed is made again this often
LATE_S = 0.015            # our own sender that much behind its time: the host was busy, not the product


def material(seed, seconds, path=None):
    """A-law octets: half a second of random octets, speech, a second of random octets again.

    Random octets are unlike anything else on the line, so that an alignment has no doubt."""
    chance = random.Random(seed)
    noise = [bytes(chance.randrange(256) for _ in range(count)) for count in (4000, 8000)]
    count = int(seconds * 8000) - 12000
    spoken = np.frombuffer(_speech(seed, count), np.uint8)
    octets = noise[0] + spoken.tobytes() + noise[1]
    if path is not None:
        wav.write_alaw(path, wav.alaw_expand(np.frombuffer(octets, np.uint8)))
        assert path.read_bytes()[-len(octets):] == octets, "the file holds the octets themselves"
    return octets


def octets_of(path):
    """The A-law octets of what a telephone has recorded."""
    return wav.alaw_compress(wav.read_mono(path)).tobytes()


_made = {}


def _speech(seed, count):
    if (seed, count) not in _made:
        import tempfile
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            speech.make(file.name, seed=seed, seconds=count / 8000)
            _made[seed, count] = wav.alaw_compress(wav.read_mono(file.name)).tobytes()
    return _made[seed, count]


@contextlib.contextmanager
def probe_agent(house, agent=AGENT):
    """A probe phone registered for one agent, who is the only one available."""
    lines = {line["name"]: line["password"] for line in house.product.get("/configuration")["configuration"]["lines"]}
    phone = ProbePhone(agent, lines[agent], house.sip_port, clock=BoardClock(house.run_dir))
    others = [a["name"] for a in house.state()["agents"] if a["name"] != agent and a["status"] == "available"]
    try:
        phone.start()
        for other in others:
            house.available(other, "logged_out")
        house.available(agent)
        house.wait_agent_idle(agent)
        yield phone
    finally:
        phone.stop()
        house.available(agent, "logged_out")
        for other in others:
            house.available(other)


def talk(house, phone, **options):
    """A call that has reached the probe.  Returns (id at the far exchange, call id)."""
    house.wait_agent_idle(phone.user, 30)
    mark = phone.mark()
    name = house.place_and_choose("1", **options)
    try:
        phone.wait_for("answered", 15, since=mark)
    except TimeoutError as error:
        state = house.state()
        raise TimeoutError(f"{error}\nagents: {state['agents']}\ncalls: {state['calls']}\nfar exchange: "
                           f"{house.far.events(id=name)}\nfolder: {house.folder}") from None
    house.far.wait_for("dtmf_done", 5, id=name)      # the pause after the key, too, is in place of what is played
    call = house.wait(lambda s: next((c for c in s["calls"] if c["state"] == "talking" and c["agent"] == phone.user), None),
                      10, "the talking call")
    return name, call["call"]


def end(house, name):
    """Hang up at the caller's; returns (octets the caller heard, rx sample of the first of them)."""
    house.far.hangup(name)
    house.far.wait_for("released", 8, id=name)
    began = house.far.wait_for("record_started", 5, id=name)
    house.far.wait_for("record_closed", 5, id=name)
    octets = (house.folder / f"{name}.wav").read_bytes()
    at = octets.index(b"data")
    size = int.from_bytes(octets[at + 4:at + 8], "little")
    return octets[at + 8:at + 8 + size], began["rx_sample"]


class Excuses:
    """What only a busy host can have done between two looks: late far ends, a board that moved its time."""

    def __init__(self, house, phone=None):
        self.house, self.phone = house, phone
        self.before = self.look()

    def look(self):
        board = bench.ask(str(self.house.run_dir), {"do": "status"})
        spans = self.house.far.status()["spans"] if self.house.far else []
        return {"the host stood still": board["board"]["host_stalls"],
                "board: late answers of lines": sum(line["late"] for line in board["lines"]),
                "far exchange: late blocks": sum(s["late_blocks"] + s["lost_blocks"] for s in spans)}

    def found(self):
        """Sentences, empty when nothing disturbed."""
        now = self.look()
        found = [f"{name}: {now[name] - self.before[name]}" for name in now if now[name] != self.before[name]]
        if self.phone is not None and self.phone.stream and self.phone.stream.worst_lateness_s > LATE_S:
            found.append(f"the probe sent {self.phone.stream.worst_lateness_s * 1000:.0f} ms late")
        return found


def undisturbed(measure, house, phone=None):
    """measure() until it holds, again only where the host disturbed it.  The limits stay.

    Media that is late by itself (late_media_frames of the board) is no excuse: that is the product."""
    for attempt in range(1, ATTEMPTS + 1):
        excuses = Excuses(house, phone)
        try:
            return measure()
        except (AssertionError, TimeoutError) as error:
            found = excuses.found()
            if attempt == ATTEMPTS or not found:
                raise
            warnings.warn(f"measured again: {'; '.join(found)} ({str(error).splitlines()[0]})", stacklevel=2)
