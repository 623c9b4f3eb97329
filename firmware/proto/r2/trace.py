"""What goes over an R2 circuit, as text for the trace.

    annotate(circuit, True, ("bits", 0b0001))           -> "forward CAS 0001 seized"
    annotate(circuit, False, ("tone", 5))               -> "backward MFC A-5 on: category, caller_digit"

Call it before the circuit takes what was received, and after it gave what is sent:
the group of a signal is that of the register at the moment.  Source: Q.421, Q.441.
Portable.
"""

FORWARD = {"10": "idle or clear-forward", "00": "seized", "01": "fault", "11": "fault"}
BACKWARD = {"10": "idle or release guard", "11": "seizure acknowledged, clear-back or blocked", "01": "answered",
            "00": "forced release"}


def is_forward(circuit, sent):
    """Whether what we send (or receive) goes from the calling to the called end."""
    return sent == (circuit.call is not None and circuit.call.startswith("o"))


def annotate(circuit, sent, item):
    """One line about one input (sent False) or output (sent True) of a circuit.

    item: as receive() takes and take_output() gives them."""
    kind, value = item[0], item[-1]
    if kind == "alarm":
        return "alarm %s" % ("on" if value else "off")
    if kind == "listen":
        return "detector %s" % (value or "off")
    forward = is_forward(circuit, sent)
    way = "forward" if forward else "backward"
    if kind == "bits":
        text = "".join(["1" if value & (8 >> n) else "0" for n in range(4)])
        if circuit.call is None:
            return "%s CAS %s" % ("sent" if sent else "received", text)
        return "%s CAS %s %s" % (way, text, (FORWARD if forward else BACKWARD)[circuit.line.pattern(value)])
    if not isinstance(value, int):
        name = "MFC" if circuit.config.get("address", "mfc") == "mfc" else "DTMF"
        return "%s %s %s" % (way, name, "off" if value is None else "%s on" % value)
    group = getattr(circuit.register, "group", "A")
    if not forward:
        group = getattr(circuit.register, "sent_group", group)
        meanings = ", ".join(circuit.variant.meanings(group, value)) or "not in use"
        return "backward MFC %s-%d on: %s" % (group, value, meanings)
    asked = getattr(circuit.register, "expected", None) or getattr(circuit.register, "phase", "")
    if asked in ("digit", "called") or (asked == "caller" and value <= 10):
        meaning = "digit %d" % (value % 10) if value <= 10 else \
            "end of pulsing" if value == circuit.variant.end_of_pulsing else "no digit"
        return "forward MFC I-%d on: %s%s" % (value, meaning, " of the caller" if asked == "caller" else "")
    name = circuit.variant.category(value, group == "B") or "not known"
    return "forward MFC %s-%d on: %s" % ("I" if asked == "caller" else "II", value,
                                         "end of the caller's number" if asked == "caller" else name)
