"""What terminations and bridges can be set to: defaults and checks of RTP, enhancement, conferences."""

import binascii
import socket

from firmware.media._engine import CODECS, GAIN_UNITY, KEYS_BY, LOUDEST, SRTP_KEY_OCTETS
from firmware.media.browsers import setting as browser_setting
from firmware.media.checks import boolean, number, refuse
from firmware.media.faxes import setting as fax_setting
from firmware.media.kernels import ANSWER_PARAMETERS, LEVELS

RTP_DEFAULTS = {"remote": None, "payload_type": 8, "codec": None, "dtmf_payload_type": None, "dtmf_clock_hz": 8000, "keys": "sound", "tones": True, "ptime_ms": 20, "jitter_ms": 40, "jitter_most_ms": 200,
                "latch": True, "source_host": None, "send": True, "timeout_ms": 30000, "srtp": None, "srtp_only": False, "browser": None, "rtcp_mux": False, "rtcp_port": None, "watch": "none", "t38": None}
EVENT_CLOCKS_HZ = (8000, 16000, 24000, 32000, 48000)       # of telephone-events: that of the sound beside them (RFC 4733 2.1)
OPUS_FRAMES_MS = (10, 20, 40, 60)
WATCH = {"none": 0, "in": 1, "out": 2, "both": 3}       # the engine's numbers
ENHANCE_OFF = {"echo": False, "long_tail": False, "noise": False, "level": "off", "vad": False}
HEARS_NOTHING = {"dtmf": False, "modem": False, "progress": False, "answer": None, "caller_id": None, "quiet_s": 0}       # hearing.py


def settings(base, p):
    """Settings of an RTP termination: those of a command, the others from base.  Raises LocalError."""
    new = {name: p.get(name, base[name]) for name in RTP_DEFAULTS}
    if new["remote"] is not None:
        remote = new["remote"]
        if not isinstance(remote, (list, tuple)) or len(remote) != 2:
            refuse(f"modify: remote is {str(remote)[:60]!r}, not [IPv4 address, port]")
        new["remote"] = [ipv4(remote[0], "modify: remote"), number(remote[1], "modify: remote port", 1, 65535)]
    if new["codec"] is not None and (not isinstance(new["codec"], str) or new["codec"] not in CODECS):
        refuse(f"modify: codec is {str(new['codec'])[:40]!r}, not null or one of {', '.join(CODECS)}")
    if new["codec"] is not None:
        number(new["payload_type"], "modify: payload_type", 0, 127)
        if new["codec"] == "OPUS" and new["ptime_ms"] not in OPUS_FRAMES_MS:
            refuse(f"modify: ptime_ms is {str(new['ptime_ms'])[:40]}; Opus has frames of {', '.join(map(str, OPUS_FRAMES_MS))} ms")
    elif new["payload_type"] not in (0, 8) or isinstance(new["payload_type"], bool):
        refuse(f"modify: payload_type is {str(new['payload_type'])[:40]}, not 0 (PCMU) or 8 (PCMA), without a codec")
    if new["dtmf_payload_type"] is not None:
        number(new["dtmf_payload_type"], "modify: dtmf_payload_type", 96, 127)
    if new["dtmf_clock_hz"] not in EVENT_CLOCKS_HZ or isinstance(new["dtmf_clock_hz"], bool):
        refuse(f"modify: dtmf_clock_hz is {str(new['dtmf_clock_hz'])[:40]}, not {', '.join(map(str, EVENT_CLOCKS_HZ))}")
    if new["keys"] not in KEYS_BY:
        refuse(f"modify: keys is {str(new['keys'])[:40]!r}, not {', '.join(KEYS_BY)}")
    if new["keys"] == "event" and new["dtmf_payload_type"] is None:
        refuse("modify: keys is event, but there is no dtmf_payload_type")
    boolean(new["tones"], "modify: tones")
    if new["ptime_ms"] not in (10, 20, 30, 40, 50, 60) or isinstance(new["ptime_ms"], bool):
        refuse(f"modify: ptime_ms is {str(new['ptime_ms'])[:40]}, not a multiple of 10 up to 60")
    number(new["jitter_ms"], "modify: jitter_ms", 10, 200)
    number(new["jitter_most_ms"], "modify: jitter_most_ms", new["jitter_ms"], 300)
    number(new["timeout_ms"], "modify: timeout_ms", 0, 3600000)
    boolean(new["latch"], "modify: latch")
    if new["source_host"] is not None:
        new["source_host"] = ipv4(new["source_host"], "modify: source_host")
    boolean(new["send"], "modify: send")
    boolean(new["rtcp_mux"], "modify: rtcp_mux")
    boolean(new["srtp_only"], "modify: srtp_only")
    new["browser"] = browser_setting(new["browser"])
    if new["browser"] is not None and not new["srtp_only"]:
        refuse("modify: a browser's leg is srtp_only")
    srtp = new["srtp"]
    if srtp is not None:
        if not isinstance(srtp, dict) or set(srtp) != {"suite", "send", "receive"} or not isinstance(srtp["suite"], str):
            refuse("modify: srtp is not a map of suite, send and receive")
        for name in ("send", "receive"):
            if key_octets(srtp["suite"], srtp[name]) is None:
                refuse(f"modify: srtp {name} is no key of suite {srtp['suite'][:40]!r}")
    if new["rtcp_port"] is not None:
        number(new["rtcp_port"], "modify: rtcp_port", 1, 65535)
    new["t38"] = fax_setting(new["t38"])
    if new["t38"] is not None and (new["srtp_only"] or new["browser"] is not None):
        refuse("modify: a fax by T.38 goes in the clear; a leg that must be encrypted carries it as sound")
    if not isinstance(new["watch"], str) or new["watch"] not in WATCH:
        refuse(f"modify: watch is {str(new['watch'])[:40]!r}, not {', '.join(WATCH)}")
    return new


def key_octets(suite, text):
    """Master key and salt of a suite from their base64 text, None where it is none."""
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, TypeError):
        return None
    return octets if len(octets) == SRTP_KEY_OCTETS.get(suite) else None


def enhancement(base, given):
    """What works on a leg: what a command gives, the others from base.  Raises LocalError."""
    if not isinstance(given, dict) or not set(given) <= set(ENHANCE_OFF):
        refuse(f"enhance is {str(given)[:60]!r}, not a map of {', '.join(ENHANCE_OFF)}")
    wanted = dict(base, **given)
    for name in ("echo", "long_tail", "noise", "vad"):
        boolean(wanted[name], f"enhance: {name}")
    if wanted["level"] not in LEVELS:
        refuse(f"enhance: level is {str(wanted['level'])[:40]!r}, not {', '.join(LEVELS)}")
    return wanted


def answer_parameters(given):
    """Parameters of answering machine detection (dsp/amd.py), those not given as there; None for null.  Raises LocalError."""
    if given is None or given is False:
        return None
    if not isinstance(given, dict) or not set(given) <= set(ANSWER_PARAMETERS):
        refuse(f"detect: answer is {str(given)[:60]!r}, not null or a map of {', '.join(ANSWER_PARAMETERS)}")
    for name, value in given.items():
        number(value, f"detect: answer {name}", 1, 60000)
    return dict(ANSWER_PARAMETERS, **given)


def answer_blocks(parameters):
    """Them as the engine takes them."""
    return [value if name == "words" else -(-value // 10) for name, value in parameters.items()]


def conference(p):
    """(loudest, {leg: dB}, {muted legs}) of a command, None where loudest is null.  Raises LocalError."""
    loudest, gains, muted = p.get("loudest", 0), p.get("gain_db", {}), p.get("muted", [])
    if loudest is None:
        return None
    number(loudest, "conference: loudest", 0, LOUDEST)
    if not isinstance(gains, dict) or not isinstance(muted, list):
        refuse("conference: gain_db is to be a map of leg ids, muted a list of leg ids")
    for leg, gain in gains.items():
        number(gain, f"conference: gain_db of {str(leg)[:31]}", -40, 12)
    if not all(isinstance(leg, str) for leg in muted):
        refuse("conference: muted is no list of leg ids")
    return loudest, dict(gains), set(muted)


def gain_of(decibels):
    """A gain as the engine takes it."""
    return max(1, round(GAIN_UNITY * 10 ** (decibels / 20)))


def speed_of(value, what):
    """A speed of playing, 0.5 to 2, in the engine's steps of 1 / 1024.  Raises LocalError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.5 <= value <= 2:
        refuse(f"{what} is {str(value)[:40]!r}, not a number from 0.5 to 2")
    return round(value * 1024)


def ipv4(value, what):
    """An IPv4 address in its usual form.  Raises LocalError."""
    try:
        if isinstance(value, str) and value.count(".") == 3:
            return socket.inet_ntoa(socket.inet_aton(value))
    except OSError:
        pass
    return refuse(f"{what} is {str(value)[:60]!r}, not an IPv4 address")
