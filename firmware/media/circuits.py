"""Channel-associated signalling: the CAS bits of timeslots, and the signals between registers; the continuity check of circuits.

    cas_open{span, circuits: [[timeslot, ABCD], ...], hold?: 1|2}   send these bits, tell what comes
    cas_send{span, timeslot, bits}
    cas_close{span, timeslots: [...]}                               1101 (blocked) from now on, nothing is told
    mf_listen{id, plan: "r2_forward"|"r2_backward"|"r1"|null}       receiver on a termination
    mf_send{id, plan: "r2_forward"|"r2_backward"|"r1"|"dtmf", signal}    signal 1 to 15 (R2), text (R1, DTMF), null: silence
    check{id, tone_hz: 2000|2010|null}                              send the tone of a continuity check and listen for it; null: neither
    loop{id, on}                                                    send what is heard, octet by octet (where no bridge says otherwise)
    events  cas{span, timeslot, bits}: a pattern that has stood (native/circuit.pxi), the first one too;
            mf{id, plan, signal, place_ms}: 1 to 15 begins or (0) ends, place_ms before tick_ms at the line;
            check{id, on}: the check tone is heard, is gone (native/continuity.pxi)

All take effect at the next tick.  R2 signals sound until the next mf_send; R1 and DTMF symbols end by themselves
(68 or 100, 70 ms).  Bits stay as they are when control dies; when media dies the board sends 1101, and the next
media sends that on every circuit until control has opened it again.
"""

from firmware.media import _engine
from firmware.media.checks import number, refuse
from firmware.trace.ring import CAS, REGISTER, Nothing

SPANS, TIMESLOTS = 64, 32
BLOCKED = 0b1101                # Q.421: the circuit is blocked; also what the board sends without media
HOLD = 2                        # 20 to 30 ms
R1_NAMES = {"K": "KP", "S": "ST"}
LASTING = ("r2_forward", "r2_backward")         # compelled signals last until they are answered
TONES = {"r2_forward": "r2f_%s", "r2_backward": "r2b_%s", "r1": "r1_%s", "dtmf": "dtmf_%s"}
CIRCUITS_MOST = 31
CHECK_HZ = (2000, 2010)         # Q.724 7; T1.113.4


class Circuits:
    """engine: Engine.  table: Table, for terminations."""

    def __init__(self, engine, table, trace=None):
        self._engine, self._table, self._trace = engine, table, trace or Nothing()
        self.rows = {}          # row: [bits sent, bits received or None, hold]

    def cas_open(self, p):
        """Follow timeslots of a span; one that is followed already only gets the bits."""
        span = number(p.get("span"), "cas_open: span", 1, SPANS)
        hold = number(p.get("hold", HOLD), "cas_open: hold", 1, 10)
        circuits = p.get("circuits")
        if not isinstance(circuits, list) or not 0 < len(circuits) <= CIRCUITS_MOST:
            refuse(f"cas_open: circuits is no list of 1 to {CIRCUITS_MOST} pairs of timeslot and bits")
        pairs = []
        for pair in circuits:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                refuse("cas_open: a circuit is a pair of timeslot and bits")
            pairs.append((self._row(span, pair[0]), number(pair[1], "cas_open: bits", 0, 15)))
        received = []
        for row, bits in pairs:
            held = self.rows.get(row)
            if held is None or held[0] != bits:
                self._keep(CAS, row, 1, bytes([bits]))
            self.rows[row] = [bits, held and held[1], hold]
            self._engine.circuit(row, 1, bits, hold)
            received.append([row % TIMESLOTS, self.rows[row][1]])
        self._engine.commit()
        return {"received": received}

    def cas_send(self, p):
        """The bits of one timeslot."""
        row = self._row(number(p.get("span"), "cas_send: span", 1, SPANS), p.get("timeslot"))
        bits = number(p.get("bits"), "cas_send: bits", 0, 15)
        if row not in self.rows:
            refuse(f"cas_send: timeslot {row % TIMESLOTS} of span {row // TIMESLOTS + 1} is not open; open it first", 98)
        if self.rows[row][0] != bits:
            self._keep(CAS, row, 1, bytes([bits]))
        self.rows[row][0] = bits
        self._engine.circuit(row, 1, bits, self.rows[row][2])
        self._engine.commit()
        return {}

    def cas_close(self, p):
        """Block timeslots and forget them."""
        span, timeslots = number(p.get("span"), "cas_close: span", 1, SPANS), p.get("timeslots")
        if not isinstance(timeslots, list) or len(timeslots) > CIRCUITS_MOST:
            refuse("cas_close: timeslots is no list of numbers")
        for row in [self._row(span, timeslot) for timeslot in timeslots]:
            if self.rows.pop(row, None) is not None:
                self._engine.circuit(row, 0, BLOCKED, HOLD)
        self._engine.commit()
        return {}

    def _keep(self, kind, row, sent, payload):
        self._trace.put(kind, row // TIMESLOTS + 1, row % TIMESLOTS, sent, payload)

    @staticmethod
    def _row(span, timeslot):
        return (span - 1) * TIMESLOTS + number(timeslot, "timeslot", 1, TIMESLOTS - 1)

    def _timeslot(self, p, what):
        term = self._table.find(p.get("id"), what + ": id")
        if term.kind != "timeslot":
            refuse(f"{what}: {term.id} is no timeslot; circuits are timeslots")
        return term

    def mf_listen(self, p):
        """A receiver of register signals, or none."""
        term, plan = self._table.find(p.get("id"), "mf_listen: id"), p.get("plan")
        if plan is not None and plan not in _engine.MF_PLANS:
            refuse(f"mf_listen: plan is {str(plan)[:40]!r}, not one of {', '.join(_engine.MF_PLANS)}")
        self._engine.mf_listen(term.slot, -1 if plan is None else _engine.MF_PLANS.index(plan))
        self._engine.commit()
        return {}

    def mf_send(self, p):
        """A register signal, or silence."""
        term, plan, signal = self._timeslot(p, "mf_send"), p.get("plan"), p.get("signal")
        tone = -1
        if signal is not None:
            if plan not in TONES or isinstance(signal, bool) or not isinstance(signal, (int, str)):
                refuse(f"mf_send: plan is {str(plan)[:40]!r}, not one of {', '.join(TONES)}")
            name = TONES[plan] % (R1_NAMES.get(signal, signal) if plan == "r1" else signal)
            tone = self._engine.kernels.register_tones.get(name)
            if tone is None:
                refuse(f"mf_send: {plan} has no signal {str(signal)[:20]!r}")
        self._engine.mf_send(term.slot, tone, plan in LASTING)
        self._keep(REGISTER, term.row, 1, ("%s signal %s" % (plan, signal) if signal is not None else "silence").encode())
        self._engine.commit()
        return {}

    def check(self, p):
        """Our half of a continuity check: tone and receiver."""
        term, hz = self._timeslot(p, "check"), p.get("tone_hz")
        if hz not in (None, *CHECK_HZ):
            refuse(f"check: tone_hz is {str(hz)[:20]!r}; use 2000, 2010 (ANSI) or null")
        self._engine.mf_send(term.slot, -1 if hz is None else self._engine.kernels.register_tones[f"check_{hz}"], True)
        self._engine.check(term.slot, 0 if hz is None else 1 + CHECK_HZ.index(hz))
        self._engine.commit()
        return {}

    def loop(self, p):
        """The other half: a loop."""
        term, on = self._timeslot(p, "loop"), p.get("on")
        if not isinstance(on, bool):
            refuse("loop: on is true or false")
        self._engine.loop(term.slot, on)
        self._engine.commit()
        return {}

    # what the tick says

    def event(self, kind, slot, serial, a, value, other):
        """One engine event as fields for control, or None."""
        if kind == "cas":
            if slot not in self.rows:
                return None
            self.rows[slot][1] = a
            self._keep(CAS, slot, 0, bytes([a]))
            return {"span": slot // TIMESLOTS + 1, "timeslot": slot % TIMESLOTS, "bits": a}
        name = self._table.named(serial)
        if kind == "check":
            return name and {"id": name, "on": bool(a)}
        if name:
            self._keep(REGISTER, self._table.find(name, "mf").row, 0,
                       ("%s signal %s" % (_engine.MF_PLANS[value], a) if a else _engine.MF_PLANS[value] + " silence").encode())
        return name and {"id": name, "plan": _engine.MF_PLANS[value], "signal": a,
                         "place_ms": -(other - (1 << 64) if other >> 63 else other) // 8}

    def audit(self):
        """[{"span", "timeslot", "sent", "received"}]"""
        return [{"span": row // TIMESLOTS + 1, "timeslot": row % TIMESLOTS, "sent": bits, "received": received}
                for row, (bits, received, _) in sorted(self.rows.items())]
