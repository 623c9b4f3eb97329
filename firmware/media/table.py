"""Terminations, what plays on them, and (bridges.py) their bridges: the command thread's picture of the engine.

Every command is checked here completely, then written to the engine's command
ring, where nothing can fail any more.  Repeating a command with the same
parameters changes nothing.  Ids are control's strings, slots are the engine's
numbers; a serial tells the users of one slot apart.
"""

import bisect
import collections
import logging
import secrets
import socket

from firmware.errors import LocalError
from firmware.media import _engine, formats
from firmware.media.bridges import Bridges
from firmware.media.browsers import Browsers
from firmware.media.checks import boolean, check_id, number, refuse, text_of
from firmware.media.faxes import Faxes
from firmware.media.hearing import Hearing
from firmware.media.kernels import LEVELS
from firmware.media.long_tails import LongTails
from firmware.media.quiet import Quiet
from firmware.media.settings import ENHANCE_OFF, HEARS_NOTHING, RTP_DEFAULTS, WATCH, enhancement, gain_of, ipv4, key_octets, settings, speed_of

log = logging.getLogger("firmware.media.table")

# "clear": a timeslot whose octets are data (64 kbit/s unrestricted).  It is in a bridge with one other of its kind and nobody else, octets
# are copied, and no kernel sees them; the engine's mu-law has the idle code that data lines have, all ones.
CLEAR = "clear"
LAWS = {"A": 0, "U": 1, CLEAR: 1}
SPANS, TIMESLOTS = 64, 32
STRETCHED = 512                 # ours: about 3 us a tick each
NO_EVENTS = 255                 # no payload type for telephone-event
CODECS = {0: "PCMU", 8: "PCMA"}


def codec_of(chosen):
    """Name of what an RTP termination speaks."""
    return chosen["codec"] or CODECS[chosen["payload_type"]]


def refuse_clear(name, done):
    """Nothing is done to data but to pass it on."""
    refuse(f"{name} carries data (64 kbit/s unrestricted), which is not {done}; it goes to one other such leg as it is", 88)


class Termination:
    """A timeslot or an RTP stream.  signal: (token, serial) of what plays."""

    __slots__ = ("id", "slot", "serial", "kind", "bridge", "hears", "octets", "speaks", "enhance", "long_place", "long_refused", "cost", "emergency", "signal",
                 "player", "last_signal", "row", "law", "clear", "srtp", "former", "codec", "leg", "sockets", "settings", "address", "port")

    def __init__(self, name, slot, serial, kind):
        self.id, self.slot, self.serial, self.kind = name, slot, serial, kind
        self.bridge = None
        self.hears = HEARS_NOTHING
        self.octets = None          # fsk.Receiver of caller identification
        self.speaks = False         # the speech detector's last word, while it works
        self.enhance = ENHANCE_OFF
        self.long_place = None      # of a canceller of 128 ms
        self.long_refused = False   # it was wanted, there was no place: one of 64 ms works
        self.cost, self.emergency = 0, False        # ns a tick, reserved; of an emergency call
        self.signal = None
        self.player = None          # (paused, volume in dB, id of the last seek) of what plays
        self.last_signal = None     # (token, request, duration_ms) until control knows that it is over
        self.row = self.law = None
        self.clear = False
        self.srtp = {False: None, True: None}       # sessions, by whether they are inbound
        self.former = []            # sessions before them that the tick may still be in
        self.codec = None           # RtpCodec
        self.leg = self.sockets = self.settings = self.address = self.port = None

    @property
    def unheard(self):
        """Whether what comes from it is no sound here: passed on as it came, or a fax in packets."""
        return bool(self.codec is not None and self.codec.passes or self.settings is not None and self.settings["t38"])


class Table(Bridges, Hearing):
    """engine: Engine, ports: Ports, player: Player, recorder: Recorder, admission: Admission.
    on_quality(id, call, figures): the last word on an RTP leg."""

    def __init__(self, engine, ports, player, recorder, admission, on_quality=lambda name, call, figures: None,
                 on_dtls_failed=lambda name, sentence: None, on_dtls_closed=lambda name: None):
        self._on_quality = on_quality
        self.browsers = Browsers(engine, on_dtls_failed, on_dtls_closed)
        self.faxes = Faxes(engine, self.only_peer, self.later)
        self.admission = admission
        self._engine, self._ports, self._player, self._recorder = engine, ports, player, recorder
        self.terminations = {}
        self.long_tails = LongTails()
        self.quiet = Quiet()
        self.bridges = {}
        self.rows = {}              # row: id of the timeslot or link that uses it
        self._by_serial = {}
        self.limit = _engine.CAPACITY["terminations"]
        self._free = list(range(self.limit))    # ascending: timeslots from below, so that they share lanes
        self._free_bridges = list(range(_engine.CAPACITY["bridges"] - 1, -1, -1))
        self._serial = 0
        self._stretched = set()     # serials of what plays at another speed than recorded
        self.streams = None         # streams.Streams, which says so itself
        self._playing = {}          # serial of what plays: (Termination, token, Playlist)
        self._waiting = collections.deque()     # (command number, function): when the tick has applied it

    def _next_serial(self):
        self._serial = self._serial % 0xFFFFFFFF + 1
        return self._serial

    def later(self, function):
        """Call a function once the tick has applied all commands so far."""
        self._waiting.append((self._engine.commit(), function))

    def reap(self):
        """Do what waited for the tick; returns whether something still waits."""
        done = self._engine.done()
        while self._waiting and self._waiting[0][0] <= done:
            self._waiting.popleft()[1]()
        return bool(self._waiting)

    def take_others(self):
        """Deal with what the tick has put aside: datagrams of faxes and of browsers."""
        for serial, source, octets in self._engine.others():
            if not self.faxes.take(serial, source, octets):
                self.browsers.take(serial, source, octets)

    def only_peer(self, term):
        """The other termination of a bridge of two, None where there is none."""
        if term.bridge is None or len(term.bridge.legs) != 2:
            return None
        return self.terminations.get(term.bridge.legs[term.bridge.legs[0] == term.id])

    def find(self, name, what):
        """A termination by id.  Raises LocalError."""
        term = self.terminations.get(check_id(name, what))
        if term is None:
            refuse(f"{what} {name} is no termination; add it first", 98)
        return term

    def sounding(self, name, what, done):
        """A termination that carries sound, by id.  done: what is wanted of it.  Raises LocalError."""
        term = self.find(name, what)
        if term.clear:
            refuse_clear(name, done)
        return term

    def slot_of(self, name, what):
        """Slot of a leg that is recorded, -1 for None."""
        return -1 if name is None else self.sounding(name, what, "recorded").slot

    # add, modify, subtract

    def add(self, p):
        """Add a timeslot or RTP termination."""
        name = check_id(p.get("id"), "add: id")
        kind = p.get("kind")
        if kind not in ("timeslot", "rtp"):
            refuse(f"add: kind is {str(kind)[:40]!r}, not timeslot or rtp")
        held = self.terminations.get(name)
        wanted = p.get("enhance")
        if wanted is not None:
            wanted = enhancement(ENHANCE_OFF if held is None else held.enhance, wanted)
        if held is not None:
            reply = self._add_timeslot(name, p) if kind == "timeslot" else self._add_rtp(name, p)
        else:
            cost = self.admission.cost(kind, wanted or ENHANCE_OFF, *self._price_of(settings(RTP_DEFAULTS, p) if kind == "rtp" else None))
            self.admission.reserve(0, cost, f"add: no room for {name}", self._is_emergency(p), self.admission.fresh(wanted or ENHANCE_OFF))
            try:
                reply = self._add_timeslot(name, p) if kind == "timeslot" else self._add_rtp(name, p)
            except LocalError:
                self.admission.release(cost)
                raise
            self.terminations[name].cost, self.terminations[name].emergency = cost, self._is_emergency(p)
        if wanted is not None:
            try:
                self._enhance(self.terminations[name], wanted, or_less=True)
            except LocalError:
                if held is None:
                    self.subtract({"id": name})
                raise
        return reply

    def take_row(self, span, timeslot, user):
        """Reserve a timeslot; returns its row.  Raises LocalError (cause 44)."""
        row = (number(span, "span", 1, SPANS) - 1) * TIMESLOTS + number(timeslot, "timeslot", 1, TIMESLOTS - 1)
        if row in self.rows:
            refuse(f"span {span} timeslot {timeslot} is in use by {self.rows[row]}", 44)
        self.rows[row] = user
        return row

    @staticmethod
    def _is_emergency(p):
        if not isinstance(p.get("emergency", False), bool):
            refuse(f"add: emergency is {str(p['emergency'])[:40]!r}, not true or false")
        return p.get("emergency", False)

    def _slot(self, kind):
        if not self._free or len(self.terminations) >= self.limit:
            refuse(f"all {self.limit} terminations are in use", 47)
        return self._free.pop(0 if kind == "timeslot" else -1)

    def _add_timeslot(self, name, p):
        if p.get("law") not in LAWS:
            refuse(f"add: law is {str(p.get('law'))[:40]!r}, not A, U or {CLEAR}")
        law, clear = LAWS[p["law"]], p["law"] == CLEAR
        if clear and p.get("enhance") is not None and enhancement(ENHANCE_OFF, p["enhance"]) != ENHANCE_OFF:
            refuse_clear(name, "enhanced")
        held = self.terminations.get(name)
        if held is not None:
            if held.kind == "timeslot" and (held.law, held.clear) == (law, clear) and self._row_matches(held.row, p):
                return {}
            refuse(f"add: {name} exists with other parameters; subtract it first")
        row = self.take_row(p.get("span"), p.get("timeslot"), name)
        try:
            term = Termination(name, self._slot("timeslot"), self._next_serial(), "timeslot")
        except LocalError:
            del self.rows[row]
            raise
        term.row, term.law, term.clear = row, law, clear
        self._engine.add_timeslot(term.slot, term.serial, row, law)
        self._keep(term)
        return {}

    @staticmethod
    def _row_matches(row, p):
        return divmod(row, TIMESLOTS) == (number(p.get("span"), "span", 1, SPANS) - 1, p.get("timeslot"))

    def _keep(self, term):
        self.terminations[term.id] = term
        self._by_serial[term.serial] = term
        self._engine.commit()

    def _add_rtp(self, name, p):
        held = self.terminations.get(name)
        if held is not None:
            if held.kind != "rtp" or held.address != p.get("address"):
                refuse(f"add: {name} exists with other parameters; subtract it first")
            return self._rtp_reply(held)
        address = ipv4(p.get("address"), "add: address")
        chosen = settings(RTP_DEFAULTS, p)
        term = Termination(name, self._slot("rtp"), self._next_serial(), "rtp")
        try:
            rtp, rtcp, term.port = self._ports.open(address)
        except LocalError:
            bisect.insort(self._free, term.slot)
            raise
        term.address, term.sockets = address, (rtp, rtcp)
        # 15 bits: who hears SRTP late must not have missed a roll-over of its numbers, of which nothing tells him.
        term.leg = _engine.RtpLeg(rtp.fileno(), rtcp.fileno(), chosen["payload_type"], secrets.randbits(15),
                                  secrets.randbits(32), secrets.randbits(32), (int.from_bytes(socket.inet_aton(address), "big"), term.port), self._ports.raw(address, term.slot // _engine.UNIT_SLOTS))
        self._engine.add_rtp(term.slot, term.serial, term.leg)
        self._set_rtp(term, chosen)
        self._keep(term)
        return self._rtp_reply(term)

    def _rtp_reply(self, term):
        reply = {"address": term.address, "port": term.port}
        if term.settings["browser"] is not None:
            reply["fingerprint"] = self.browsers.fingerprint
        return reply

    def modify(self, p):
        """Change parameters of an RTP termination; what is not named stays."""
        term = self.find(p.get("id"), "modify: id")
        if term.kind != "rtp":
            refuse(f"modify: {term.id} is a timeslot; only rtp terminations have parameters")
        chosen = settings(term.settings, p)
        if chosen != term.settings:
            self.faxes.room(term, chosen["t38"])
            self.price(term, f"modify: no room for {term.id}", chosen=chosen)
            self._set_rtp(term, chosen)
        return self._rtp_reply(term)

    def price(self, term, what, enhance=None, chosen=None, hears=None):
        """Reserve what a leg would cost a tick with these; what is None stays.  Raises LocalError (cause 47)."""
        cost = self.admission.cost(term.kind, enhance or term.enhance, *self._price_of(chosen or term.settings), hears or term.hears)
        fresh = self.admission.fresh(enhance) if enhance is not None and cost > term.cost and not term.enhance["echo"] else 0
        self.admission.reserve(term.cost, cost, what, term.emergency, fresh)
        term.cost = cost

    def _price_of(self, chosen):
        """(suite, codec) that a leg has to be paid for."""
        return self._suite(chosen), chosen and ("T38" if chosen["t38"] else chosen["codec"])

    @staticmethod
    def _suite(chosen):
        """The suite that a leg has, or (a browser's) will have."""
        if chosen is None or (chosen["srtp"] is None and chosen["browser"] is None):
            return None
        return chosen["srtp"]["suite"] if chosen["srtp"] is not None else "AEAD_AES_128_GCM"

    def watch(self, p):
        """In which directions of an RTP termination sound is owed."""
        return self.modify({"id": p.get("id"), "watch": p.get("sound")})

    def _set_srtp(self, term, chosen):
        """Sessions of the directions whose key is another one; a session that goes on keeps its packet count (RFC 3711 3.3.1)."""
        old, new = term.settings and term.settings["srtp"] or {}, chosen["srtp"] or {}
        for way, inbound in (("send", False), ("receive", True)):
            if (old.get("suite"), old.get(way)) == (new.get("suite"), new.get(way)):
                continue
            session = None
            if new:
                session = _engine.SRTPSession(new["suite"], key_octets(new["suite"], new[way]),
                                              None if inbound else term.leg.stats()["ssrc"])
            self._engine.set_srtp(term.slot, inbound, session)
            former, term.srtp[inbound] = term.srtp[inbound], session
            self.later(lambda former=former: former)        # the tick may still use it until then
        self._engine.set_srtp_only(term.slot, chosen["srtp_only"])

    def _set_codec(self, term, name):
        """The coders of another codec begin anew; those before may still be in the tick."""
        if (term.codec and term.codec.name) != name:
            former, term.codec = term.codec, None if name is None else _engine.RtpCodec(name)
            self._engine.set_codec(term.slot, term.codec)
            self.later(lambda: former)
            for leg in (term, self.only_peer(term)):
                self.pass_on(leg)

    def _set_rtp(self, term, chosen):
        self._set_srtp(term, chosen)
        self._set_codec(term, chosen["codec"])
        remote = chosen["remote"]
        if remote is not None:
            remote = (int.from_bytes(socket.inet_aton(remote[0]), "big"), remote[1])
        dtmf = chosen["dtmf_payload_type"]
        self._engine.set_rtp(term.slot, remote, chosen["payload_type"], NO_EVENTS if dtmf is None else dtmf,
                             chosen["ptime_ms"], chosen["jitter_ms"], chosen["latch"] and chosen["browser"] is None, chosen["send"],
                             chosen["timeout_ms"], chosen["rtcp_mux"], chosen["rtcp_port"] or 0, WATCH[chosen["watch"]], chosen["jitter_most_ms"],
                             int.from_bytes(socket.inet_aton(chosen["source_host"] or "0.0.0.0"), "big"), chosen["browser"] is not None,
                             chosen["dtmf_clock_hz"], _engine.KEYS_BY.index(chosen["keys"]), chosen["tones"])
        term.settings = chosen
        self.faxes.configure(term, chosen["t38"], chosen["remote"])
        self.browsers.configure(term, chosen["browser"])
        self._engine.commit()

    def subtract(self, p):
        """Remove a termination from everything it is in."""
        term = self.terminations.pop(check_id(p.get("id"), "subtract: id"), None)
        if term is None:
            return {}
        if term.bridge is not None:
            self._leave(term)
        del self._by_serial[term.serial]
        self.admission.release(term.cost)
        if self.streams is not None:
            self.streams.leg_gone(term.id)
        self._engine.subtract(term.slot)
        call = p.get("call")
        if call is not None:
            check_id(call, "subtract: call")

        suite = self.browsers.suite(term) or (term.settings and term.settings["srtp"] and term.settings["srtp"]["suite"])
        self.browsers.forget(term)
        fax = self.faxes.forget(term)

        def free():
            term.srtp.clear()
            term.former.clear()
            if term.leg is not None:
                self._tell_of(term)
                self._on_quality(term.id, call, dict(term.leg.quality(), codec=codec_of(term.settings), srtp=suite, **({"t38": fax} if fax else {})))
                term.codec = None
            for sock in term.sockets or ():
                sock.close()
            if term.long_place is not None:
                self.long_tails.give_back(term.long_place)
            bisect.insort(self._free, term.slot)
        if term.row is not None:
            # The next user of the timeslot may come at once; the ring keeps the order.
            del self.rows[term.row]
            term.row = None
        self.later(free)
        return {}

    @staticmethod
    def _tell_of(term):
        """One line a leg that did not hear all as it was sent: what an operator asks for when somebody complains.  Of the others it is for those who look
        for a fault (DEBUG): their figures are in the CDR, and at 200 calls a second 400 lines would hide what matters."""
        stats = term.leg.stats()
        worth_telling = stats["lost"] or stats["late"] or stats["concealed_samples"]
        level = logging.WARNING if stats["garbage"] or stats["strangers"] else logging.INFO if worth_telling else logging.DEBUG
        log.log(level, "leg %s ended, port %d, peer %s: %d packets received, %d lost, %d late, %d concealed samples, "
                "%d no RTP of ours, %d from strangers; %d sent", term.id, term.port, stats["remote"], stats["received"],
                stats["lost"], stats["late"], stats["concealed_samples"], stats["garbage"], stats["strangers"],
                stats["sent"])

    def tap(self, p):
        """A leg hears what another one says, beside whatever that one is in: for recorders outside."""
        term = self.find(p.get("id"), "tap: id")
        self._engine.tap(term.slot, self.slot_of(p.get("source"), "tap: source"))
        self._engine.commit()
        return {}

    # signals, detection, recordings

    def signal(self, p):
        """Play a playlist towards a termination."""
        term = self.sounding(p.get("id"), "signal: id", "played to")
        token = check_id(p.get("token"), "signal: token")
        repeat = number(p.get("repeat", 1), "signal: repeat", 0, 1000000)
        start = number(p.get("start_ms", 0) or 0, "signal: start_ms", 0, 1 << 40)
        speed = speed_of(p["speed"], "signal: speed") if p.get("speed") is not None else 1024
        number(p.get("volume_db", 0), "signal: volume_db", -40, 12)
        request = (p.get("items"), repeat)
        if term.last_signal is not None and term.last_signal[:2] == (token, request):
            return {"duration_ms": term.last_signal[2]}
        if speed != 1024:
            self._room_to_stretch("signal")         # before anything plays
        playlist, duration_ms = self._player.compile(p.get("items"))
        serial = self._next_serial()
        self._engine.play(term.slot, serial, playlist, repeat, start * 8)
        self._engine.commit()
        self._playing[serial] = (term, token, playlist)
        term.signal = (token, serial)
        term.player = (False, 0, None, 1024)
        if "volume_db" in p or "speed" in p:
            self.player({name: p[name] for name in ("id", "token", "volume_db", "speed") if name in p})
        term.last_signal = (token, request, duration_ms)
        return {"duration_ms": duration_ms}

    def signal_acknowledged(self, name, token):
        """Control knows that a signal is over: the same command means a new one from now on."""
        term = self.terminations.get(name)
        if term is not None and term.last_signal is not None and term.signal is None and term.last_signal[0] == token:
            term.last_signal = None

    def player(self, p):
        """Pause, volume and place of what plays; what is not named stays, another token is left alone."""
        term = self.find(p.get("id"), "player: id")
        token = check_id(p.get("token"), "player: token")
        paused, volume, sought, speed = term.player or (False, 0, None, 1024)
        paused = boolean(p.get("pause", paused), "player: pause")
        volume = number(p.get("volume_db", volume), "player: volume_db", -40, 12)
        speed = speed_of(p["speed"], "player: speed") if p.get("speed") is not None else speed
        seek = p.get("seek")
        place = -1
        if seek is not None:
            if not isinstance(seek, dict):
                refuse("player: seek is no map of id and ms")
            place = number(seek.get("ms"), "player: seek ms", 0, 1 << 40) * 8
            name = check_id(seek.get("id"), "player: seek id")
            place, sought = (-1, sought) if name == sought else (place, name)
        if term.signal is None or term.signal[0] != token:
            refuse(f"player: {token} does not play on {term.id}", 98)
        if place >= 0 or (paused, volume, sought, speed) != term.player:
            serial = term.signal[1]
            if (speed != 1024 or term.player[3] != 1024) and serial not in self._stretched:
                self._room_to_stretch("player")
                self._stretched.add(serial)
            term.player = (paused, volume, sought, speed)
            self._engine.set_player(term.slot, serial, paused, gain_of(volume), place, speed,
                                    self._playing[serial][2] if serial in self._stretched else None)
            self._engine.commit()
        return {}

    def _room_to_stretch(self, what):
        if len(self._stretched) >= STRETCHED:
            refuse(f"{what}: {STRETCHED} prompts play at another speed already", 47)

    def stop(self, p):
        """Stop what plays; another token than the given one is left alone."""
        name = check_id(p.get("id"), "stop: id")
        token = p.get("token")
        term = self.terminations.get(name)
        if term is not None and term.signal is not None and token in (None, term.signal[0]):
            self._engine.stop_play(term.slot, term.signal[1])
            self._engine.commit()
        return {}

    def enhance(self, p):
        """What works on a leg's received audio; what is not named stays."""
        term = self.find(p.get("id"), "enhance: id")
        or_less, before = boolean(p.get("or_less", False), "enhance: or_less"), term.long_refused
        if "long_tail" in p:
            term.long_refused = False
        try:
            self._enhance(term, enhancement(term.enhance, {name: p[name] for name in ENHANCE_OFF if name in p}), or_less)
        except LocalError:
            term.long_refused = before
            raise
        return {}

    def _enhance(self, term, wanted, or_less=False):
        """or_less: where no canceller of 128 ms is left, one of 64 ms will do: a call is worth more than its echo's last half."""
        if wanted == term.enhance:
            return
        if term.clear:
            refuse_clear(term.id, "enhanced")
        long, held = wanted["echo"] and wanted["long_tail"], term.long_place
        place = held if long else None
        if long and held is None:
            try:
                place = self.long_tails.take(term.slot, f"enhance: {term.id}")
            except LocalError as error:
                if not or_less:
                    raise
                self.long_tails.say_once(error)
                self._enhance(term, dict(wanted, long_tail=False))
                term.long_refused = True
                return
        try:
            self.price(term, f"enhance: no room for {term.id}", enhance=wanted)
        except LocalError:
            if place is not None and held is None:
                self.long_tails.give_back(place)
            raise
        term.enhance, term.long_place = wanted, place
        term.long_refused = term.long_refused and wanted["echo"] and place is None
        self.work_on(term)
        self._engine.commit()
        if held is not None and place is None:
            self.later(lambda: self.long_tails.give_back(held))

    def work_on(self, term):
        """Have the tick work on a leg's sound as its enhancement and what is listened for want it."""
        bits = sum(bit for name, bit in _engine.ENHANCEMENTS.items() if term.enhance[name] not in (False, "off"))
        if term.hears["quiet_s"]:
            bits |= _engine.ENHANCEMENTS["vad"]
        term.speaks = term.speaks and bool(bits & _engine.ENHANCEMENTS["vad"])
        self._engine.enhance(term.slot, bits, LEVELS.index(term.enhance["level"]), 0 if term.long_place is None else term.long_place + 1)

    def record(self, p):
        """Start a recording."""
        name = check_id(p.get("id"), "record: id")
        path = p.get("path")
        if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
            refuse(f"record: path is {str(path)[:80]!r}, not an absolute path")
        left, right = p.get("left"), p.get("right")
        form = formats.form(p.get("format", "alaw"), p.get("channels"))
        if name in self._recorder.running or self._recorder.closed.get(name) == path:
            self._recorder.record(name, path, left, right, -1, -1, form)    # repeated: harmless or refused
            return {}
        self._recorder.record(name, path, left, right, self.slot_of(left, "record: left"),
                              self.slot_of(right, "record: right"), form)
        self._engine.commit()
        return {}

    def record_pause(self, p):
        """A recording is silent from now on, or no longer."""
        self._recorder.pause(check_id(p.get("id"), "record_pause: id"), boolean(p.get("pause"), "record_pause: pause"),
                             text_of(p.get("text"), "record_pause: text"))
        self._engine.commit()
        return {}

    def record_legs(self, p):
        """A recording goes on with other legs."""
        left, right = p.get("left"), p.get("right")
        self._recorder.legs(check_id(p.get("id"), "record_legs: id"), left, right, self.slot_of(left, "record_legs: left"),
                            self.slot_of(right, "record_legs: right"), text_of(p.get("text"), "record_legs: text"))
        self._engine.commit()
        return {}

    def record_stop(self, p):
        """Stop a recording; record_closed follows."""
        self._recorder.record_stop(check_id(p.get("id"), "record_stop: id"))
        self._engine.commit()
        return {}

    # what the tick says

    def named(self, serial):
        """Id of the termination that an event is of, None when it is gone."""
        term = self._by_serial.get(serial)
        return term and term.id

    def event(self, kind, slot, serial, a, value, other):
        """One engine event as fields for control, or None when it concerns nobody any more."""
        if kind == "signal_complete":
            return self._signal_complete(other, _engine.REASONS[a], value)
        term = self._by_serial.get(serial)
        if term is None:
            return None
        if kind == "rtp_started":
            return {"id": term.id, "from": [socket.inet_ntoa(a.to_bytes(4, "big")), other]}
        if kind == "rtp_timeout":
            return {"id": term.id, "silent_ms": value}
        if kind == "audio":
            return {"id": term.id, "direction": "out" if a else "in", "missing": bool(value), "reason": _engine.AUDIO_REASONS[other]}
        return self.heard(kind, term, a, value, other)

    def _signal_complete(self, serial, reason, samples):
        """The tick has let go of the playlist: its memory may go too."""
        term, token, _ = self._playing.pop(serial, (None, None, None))
        if term is None:
            return None
        self._stretched.discard(serial)
        if term.signal == (token, serial):
            term.signal = None
        if term.serial not in self._by_serial:
            return None
        return {"id": term.id, "token": token, "reason": reason, "position_ms": samples // 8}

    def audit(self):
        """{"terminations": [...], "bridges", "topologies", "signals"}"""
        terms, signals = [], []
        for term in self.terminations.values():
            row = {"id": term.id, "kind": term.kind, "bridge": term.bridge and term.bridge.id, **term.hears,
                   "enhance": term.enhance, "long_tail_refused": term.long_refused}
            if term.kind == "timeslot":
                row.update(span=term.row // TIMESLOTS + 1, timeslot=term.row % TIMESLOTS, law=CLEAR if term.clear else "AU"[term.law])
            else:
                row.update(address=term.address, port=term.port, stats=term.leg.stats(), quality=term.leg.quality(), fax=self.faxes.figures(term), coder=term.codec and term.codec.stats(),
                           **dict(term.settings, browser=term.settings["browser"] is not None, srtp=self.browsers.suite(term) or (
                               term.settings["srtp"] and term.settings["srtp"]["suite"])))
            terms.append(row)
            serial, samples = self._engine.position(term.slot)
            if term.signal is not None:         # another serial: the tick has yet to begin it
                signals.append({"id": term.id, "token": term.signal[0],
                                "position_ms": samples // 8 if serial == term.signal[1] else 0,
                                "paused": term.player[0], "volume_db": term.player[1], "speed": term.player[3] / 1024})
        bridges = [{"id": bridge.id, "legs": bridge.legs, "conference": bridge.conference and {
                        "loudest": bridge.conference[0], "gain_db": bridge.conference[1],
                        "muted": sorted(bridge.conference[2])}} for bridge in self.bridges.values()]
        topologies = [{"bridge": bridge.id, "from": hearer, "to": source,
                       "way": "none" if (source, hearer) in bridge.blocked else "one"}
                      for bridge in self.bridges.values() for hearer, source in sorted(bridge.blocked)
                      if hearer < source or (source, hearer) not in bridge.blocked]
        return {"terminations": terms, "bridges": bridges, "topologies": topologies, "signals": signals}
