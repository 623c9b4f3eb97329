"""Sound that is missing as alarms: from the core's records to the alarm list.

One-way audio: a source is the telephone's line ("line 1001"), or the leg where there is none; the sentence names call, leg and
direction.  The alarm ends when sound is back or the leg is over.
Dead air: a source is the call; the alarm ends when somebody speaks or the call is over."""

KIND, DEAD_AIR = "one_way_audio", "dead_air"
WHY = {
    "nothing": "nothing has come from it for 4 s",
    "foreign": "packets come, but from another address than it gave (NAT, or somebody else)",
    "type": "packets come, but none of the agreed codec",
    "sent": "it reports that it sends, and the network loses all of it",
    "silent": "it reports itself that it sends nothing",
    "unheard": "it reports that nothing of ours arrives there",
    "refused": "its host refuses our packets: no program listens on the port that it gave",
}
DIRECTIONS = {"in": "no sound from it", "out": "no sound to it"}


class AudioAlarms:
    """alarms: Alarms.  legs, silent: core legs and the calls without a voice that stand, at a start."""

    def __init__(self, alarms, legs=(), now_ms=0, silent=()):
        self._alarms = alarms
        self._silent_calls = {"call " + call for call in silent}
        self._silent = {}           # leg -> {direction: sentence}
        self._source = {}           # leg -> source
        self._legs = {}             # source -> {leg: True}: on a dead network thousands are silent, and each report looks at its own only
        for leg in legs:
            for direction in leg.missing or ():
                self._missing(leg.id, leg.call, leg.line, direction, "nothing")
        for source, kind in alarms.sources():
            if kind == KIND and source not in self._source.values() or kind == DEAD_AIR and source not in self._silent_calls:
                alarms.forget(source, now_ms)       # its leg or call ended while nobody watched

    def _missing(self, leg, call, line, direction, reason):
        source = self._source[leg] = "line %s" % line if line else "leg %s" % leg
        self._legs.setdefault(source, {})[leg] = True
        self._silent.setdefault(leg, {})[direction] = "call %s, leg %s: %s; %s" % (
            call, leg, DIRECTIONS[direction], WHY.get(reason, reason))

    def committed(self, records, now_ms):
        """Records of the core, in order."""
        for record in records:
            leg, kind = record["leg"], record["kind"]
            if kind == "leg.audio_missing":
                data = record["data"]
                self._missing(leg, record["call"], data.get("line"), data["direction"], data["reason"])
                self._report(self._source[leg], now_ms)
            elif leg in self._silent and kind in ("leg.audio_back", "leg.released"):
                source = self._source[leg]
                if kind == "leg.audio_back":
                    self._silent[leg].pop(record["data"]["direction"], None)
                if kind == "leg.released" or not self._silent[leg]:
                    del self._silent[leg], self._source[leg], self._legs[source][leg]
                self._report(source, now_ms)
            elif kind in ("call.dead_air", "call.dead_air_over", "call.unbridged", "call.ended"):
                self._dead_air(record, now_ms)

    def _dead_air(self, record, now_ms):
        source, data = "call " + record["call"], record["data"]
        if record["kind"] == "call.dead_air":
            self._silent_calls.add(source)
            self._alarms.report(source, {DEAD_AIR: "nobody has spoken for %d s: %s" % (data["ms"] // 1000, ", ".join("leg " + leg for leg in data["legs"]))},
                                (DEAD_AIR,), now_ms)
        elif source in self._silent_calls:
            self._silent_calls.remove(source)
            self._alarms.forget(source, now_ms)

    def _report(self, source, now_ms):
        sentences = [sentence for leg in sorted(self._legs[source]) for _, sentence in sorted(self._silent[leg].items())]
        if sentences:
            self._alarms.report(source, {KIND: ". ".join(sentences)}, (KIND,), now_ms)
        else:
            del self._legs[source]
            self._alarms.forget(source, now_ms)
