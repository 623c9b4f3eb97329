"""What a termination can be set to: defaults and checks of RTP and of enhancement."""

import socket

from firmware.media.checks import boolean, number, refuse
from firmware.media.kernels import LEVELS

RTP_DEFAULTS = {"remote": None, "payload_type": 8, "dtmf_payload_type": None, "ptime_ms": 20, "jitter_ms": 40,
                "latch": True, "send": True, "timeout_ms": 30000}
ENHANCE_OFF = {"echo": False, "noise": False, "level": "off", "vad": False}


def settings(base, p):
    """Settings of an RTP termination: those of a command, the others from base.  Raises LocalError."""
    new = {name: p.get(name, base[name]) for name in RTP_DEFAULTS}
    if new["remote"] is not None:
        remote = new["remote"]
        if not isinstance(remote, (list, tuple)) or len(remote) != 2:
            refuse(f"modify: remote is {str(remote)[:60]!r}, not [IPv4 address, port]")
        new["remote"] = [ipv4(remote[0], "modify: remote"), number(remote[1], "modify: remote port", 1, 65535)]
    if new["payload_type"] not in (0, 8) or isinstance(new["payload_type"], bool):
        refuse(f"modify: payload_type is {str(new['payload_type'])[:40]}, not 0 (PCMU) or 8 (PCMA)")
    if new["dtmf_payload_type"] is not None:
        number(new["dtmf_payload_type"], "modify: dtmf_payload_type", 96, 127)
    if new["ptime_ms"] not in (10, 20, 30, 40, 50, 60) or isinstance(new["ptime_ms"], bool):
        refuse(f"modify: ptime_ms is {str(new['ptime_ms'])[:40]}, not a multiple of 10 up to 60")
    number(new["jitter_ms"], "modify: jitter_ms", 20, 200)
    number(new["timeout_ms"], "modify: timeout_ms", 0, 3600000)
    boolean(new["latch"], "modify: latch")
    boolean(new["send"], "modify: send")
    return new


def enhancement(base, given):
    """What works on a leg: what a command gives, the others from base.  Raises LocalError."""
    if not isinstance(given, dict) or not set(given) <= set(ENHANCE_OFF):
        refuse(f"enhance is {str(given)[:60]!r}, not a map of {', '.join(ENHANCE_OFF)}")
    wanted = dict(base, **given)
    for name in ("echo", "noise", "vad"):
        boolean(wanted[name], f"enhance: {name}")
    if wanted["level"] not in LEVELS:
        refuse(f"enhance: level is {str(wanted['level'])[:40]!r}, not {', '.join(LEVELS)}")
    return wanted


def ipv4(value, what):
    """An IPv4 address in its usual form.  Raises LocalError."""
    try:
        if isinstance(value, str) and value.count(".") == 3:
            return socket.inet_ntoa(socket.inet_aton(value))
    except OSError:
        pass
    return refuse(f"{what} is {str(value)[:60]!r}, not an IPv4 address")
