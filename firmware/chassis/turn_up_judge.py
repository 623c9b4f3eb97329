"""What the turn-up of a span says about the facts that turn_up.py has gathered; pure.

A finding is {"check": one of CHECKS, "result": "pass", "fail" or "note", "key", "arguments", "text"}: `key` is the sentence's name
for other languages, `text` says it in English."""

from firmware.chassis.alarm_table import KINDS
from firmware.chassis.clock_doctor import ALIKE

SLIP_PPM = 125.0            # a slip is 125 us: so many ppm if it comes once a second
CHECKS = ("signal", "far end", "own loop", "pairs", "alarm-free time", "errors", "crc4", "clock", "loop", "d channel", "signalling", "call out",
          "echo", "call in", "test")
SENTENCES = {
    "signal_ok": "Signal and frames arrive.",
    "not_carried": "Nothing of this line can be tested: %(names)s. The alarms page says what to do.",
    "los": "No signal arrives: the cable is not plugged, or its pairs are crossed (receive on transmit). Exchange the two pairs, then look "
           "at the receive pair and at the far end's power.",
    "los_open": "No signal arrives, and nothing is connected to our transmit pair either: the cable is not plugged in, here or at the patch panel.",
    "los_pairs": "No signal arrives, although something is connected to our transmit pair: the pairs are crossed (receive on transmit), the receive "
                 "pair is broken, the far end is switched off, or the cable is too long. Exchange the two pairs first.",
    "los_weak": "A signal arrives, but it is too weak (%(level).0f dB below nominal; %(limit).0f dB are taken): the cable is too long, or one "
                "wire of the pair is broken. Repair it, or set the sensitivity of the span to high if it must be so long.",
    "transmit_open": "Nothing is connected to our transmit pair: the far end hears nothing of us. Look at the plug, the patch panel and the cable.",
    "transmit_short": "Our transmit pair is short-circuited: the far end hears nothing of us. Look at the plug and the patch panel.",
    "level_ok": "The signal arrives %(level).0f dB below nominal; down to %(limit).0f dB are taken.",
    "weak": "The signal is weak: %(level).0f dB below nominal, and at %(limit).0f dB it is lost. Look for a long or bad cable, or a joint on one wire only; "
            "set the sensitivity of the span to high if the cable must be so long.",
    "errors_level_good": "%(errors)d errored blocks in %(seconds)d s although the signal is strong (%(level).0f dB below nominal): a loose connector, or 75 ohm "
                         "cable on a 120 ohm socket or the other way round. Compare the impedance that the span is set to (75 or 120 ohm) with the cable, then "
                         "change cable and connector.",
    "errors_both": "Errored blocks in both directions in %(seconds)d s: %(errors)d here, %(far)d at the far end. Compare the impedance first, at both ends: "
                   "75 ohm (coaxial cable) on a 120 ohm socket, or the other way round, spoils both; then look at connectors and cable.",
    "comes_goes": "The line comes and goes, %(times)d times in %(minutes)d min: a loose plug or patch cable. Look at each plug from the box to the far end; "
                  "what else stands here may follow from it.",
    "ais": "All ones arrive: the cable is good, the fault is behind the far end's equipment. Ask the carrier.",
    "lfa_e1": "A signal arrives, but no E1 frames: the far end is a T1, or has another line code, or a bad line. Compare the settings of both ends.",
    "lfa_t1": "A signal arrives, but no %(framing)s frames: the far end has another framing (ESF or D4), or is an E1, or has another line code.",
    "rai": "We hear the far end, it does not hear us (one way): our transmit pair is open, or it insists on CRC-4 and it is off here.",
    "rai_crc4": "We hear the far end, it does not hear us (one way): our transmit pair is open, or CRC-4 is off there and on here.",
    "crc4_far_off": "CRC-4 is set wrongly at one end: it is on here, the far end sends none. Set both ends alike.",
    "crc_all": "Every CRC is wrong although the frames are good: one end is set to T1, the other to J1.",
    "errors_none": "No errors in %(seconds)d s.",
    "errors": "%(errors)d errored blocks in %(seconds)d s: a bad pair or connector, or too long a cable.",
    "far_errors": "The far end counts %(errors)d errored blocks of ours in %(seconds)d s: our transmit pair is bad.",
    "clock_ok": "No slips in %(seconds)d s: both ends have one clock, or nearly.",
    "clock_follow": "%(slips)d slips in %(seconds)d s: the far end's clock is about %(ppm).1f ppm away from ours. We are its user: name span %(span)d as "
                    "clock source of the box.",
    "clock_selected": "%(slips)d slips in %(seconds)d s although this span is the box's clock: the line is bad, or the far end's clock jumps.",
    "clock_far": "%(slips)d slips in %(seconds)d s: the far end's clock is about %(ppm).1f ppm away from ours, and it should follow us: set its clock to "
                 "the line. If the carrier gives the clock there, name span %(span)d as clock source here.",
    "clock_odd": "%(slips)d slips in %(seconds)d s: the far end's clock is about %(ppm).1f ppm away from ours, while other spans (%(agree)d of %(others)d) agree "
                 "with one another: it is this far end that does not follow, and no clock source for the box. Set its clock to the line; if it belongs to "
                 "another network, slips stay unless both follow a common clock.",
    "looped_far": "What we send comes back bit for bit: the far end is in loop, or a loop plug is in the socket.",
    "looped_near": "The span is looped by ourselves (%(kind)s): end the loop, then test again.",
    "looped_code": "The far end has ordered a loop by a loop code: it is testing the line.",
    "crossed": "What this span sends arrives at span %(other)d: two cables are crossed.",
    "pairs_crossed": "The far end that hears this span answers on span %(other)d: a pair of this cable and one of another are exchanged. Compare the "
                     "receive pairs of the two spans with the plan, then the transmit pairs.",
    "pairs_untested": "Run turn-up again with the own loop (--loop): pairs may be exchanged with another span.",
    "pairs_ok": "The far end that hears this span answers on it.",
    "no_loop": "The far end is not in loop.",
    "no_loop_test": "No timeslot was free for a loop test.",
    "link_up": "The D channel is up.",
    "link_down": "The line is good, but the D channel does not come up: the far end has not enabled it, both ends are the same side (user or "
                 "network), or it is in another timeslot than %(timeslot)d.",
    "link_looped": "The D channel hears itself: it comes up when the loop ends.",
    "link_of_group": "This span has no D channel of its own: that of span %(other)d serves it, and is up.",
    "link_of_group_down": "This span has no D channel of its own, and that of span %(other)d, which serves it, is down: no call goes over this one until it is up. Test "
                          "span %(other)d.",
    "link_waits": "The D channel waits for the line.",
    "signalling_up": "The signalling (%(kind)s) is in service.",
    "signalling_down": "The line is good, but the signalling (%(kind)s) is not in service: the far end has not enabled it, or its settings differ.",
    "signalling_waits": "The signalling (%(kind)s) waits for the line.",
    "prbs_ok": "Through our own loop: %(bits)d bits of 2^15-1 in %(timeslots)d timeslots, no error but the %(inserted)d that were put in.",
    "prbs_bad": "Through our own loop: %(errors)d errors in %(bits)d bits where %(inserted)d had been put in, in step: %(synced)s. The fault is on "
                "the board itself, or its clock fails.",
    "prbs_busy": "Our own loop was not set: timeslots of the span are in use.",
    "prbs_failed": "The test through our own loop did not come to its end: %(why)s. Test again.",
    "cut_cancelled": "The test was cancelled in the step \"%(stage)s\". What else stands here was measured until then.",
    "cut_interrupted": "The control process was restarted in the step \"%(stage)s\" of this test. What the test had set on the line is taken back; what else "
                       "stands here was measured until then. Begin it again.",
    "alarm_free": "No alarm for %(seconds)d s.",
    "alarm_seconds": "An alarm stood in %(bad)d of %(seconds)d s: %(names)s.",
    "crc4_ok": "CRC-4 is on at both ends: its multiframes come.",
    "crc4_off": "CRC-4 is off here, as it must be at the far end.",
    "clock_within": "No slips; the far end's clock is within %(ppm).2g ppm of the box's (%(watched)d s watched).",
    "call_out_ok": "The call to %(number)s was answered after %(answer_s).1f s; a tone of %(hz).0f Hz comes at %(dbm0).1f dBm0.",
    "call_out_looped": "The call to %(number)s was answered after %(answer_s).1f s by a loop: what we say comes back at %(loss_db).1f dB less, so both ways carry sound.",
    "call_out_weak": "The call to %(number)s was answered, but its tone comes at %(dbm0).1f dBm0 only; %(least).0f dBm0 are asked for. Look for a "
                     "loss plan or an analogue stretch behind the far end.",
    "call_out_sound": "The call to %(number)s was answered after %(answer_s).1f s; sound of %(dbm0).1f dBm0 comes, but no tone: this number is no test number.",
    "call_out_silent": "The call to %(number)s was answered, but nothing is heard (%(dbm0).1f dBm0): its sound does not come through, or it sends none. "
                       "Name a number that answers with a tone or a loop.",
    "call_out_failed": "The call to %(number)s failed with cause %(cause)d, %(meaning)s: %(why)s.",
    "call_out_unmeasured": "The call to %(number)s was answered, but not measured: %(why)s",
    "call_none": "No test call was made: no number is configured that answers test calls (turn_up.number).",
    "call_unwanted": "No test call was made: none was wanted.",
    "call_waits": "No test call was made: the span is not up.",
    "erl_ok": "Echo return loss %(erl_db).1f dB.",
    "erl_least": "No echo comes back: echo return loss at least %(erl_db).1f dB.",
    "erl_low": "Echo return loss %(erl_db).1f dB; %(least)d dB are asked for. The hybrid where this number ends is badly balanced: try another number "
               "before the span is blamed.",
    "erl_looped": "The echo return loss cannot be measured through a loop.",
    "call_in_ok": "A call came in on timeslot %(timeslot)d; a tone of %(hz).0f Hz comes at %(dbm0).1f dBm0. It heard our tone.",
    "call_in_sound": "A call came in on timeslot %(timeslot)d; the caller is heard (%(dbm0).1f dBm0). Ask the caller whether our tone was heard.",
    "call_in_looped": "A call came in on timeslot %(timeslot)d from a loop: both ways carry sound.",
    "call_in_silent": "A call came in on timeslot %(timeslot)d, but nothing is heard of the caller (%(dbm0).1f dBm0).",
    "call_in_unmeasured": "A call came in on timeslot %(timeslot)d, but was not measured: %(why)s",
    "call_in_missing": "No call came in to a test number over this span in %(seconds)d s.",
}
NOT_CARRIED = ("framer", "card", "configuration")       # alarms of a span whose bits do not reach us at all
DEAD_PAIR = ("open", "short")            # what the transmit pair of a line interface may be seen as
COMINGS_LEAST = 2            # once may be the plug that was put in for this test; ours
CALL_FAULTS = ("call_out_failed", "call_out_silent", "call_out_unmeasured")
# what must have been measured for a finding, in a test that is not at its end
MEASURED = (({"prbs"}, {"own loop"}), ({"answers"}, {"pairs"}), ({"heard"}, {"loop"}), ({"watched_s"}, {"signal", "far end", "crc4", "alarm-free time", "errors", "clock"}),
            ({"watched_s", "heard"}, {"d channel", "signalling"}), ({"out"}, {"call out", "echo"}), ({"in"}, {"call in"}))
SILENCE_DBM0 = -60.0         # nobody is heard below it; ours


def judge(facts):
    """Findings.  facts: {"span", "type", "framing", "crc4", "side", "signalling", "d_timeslot", "alarms": set of names now,
    "seconds", "errors", "far_errors", "blocks", "slips", "clock_selected": bool, "link_up": bool, "loop": kind of our own or None,
    "d_span": the span whose D channel serves this one (NFAS), or None; "code": loop code that came or None, "looped": bool or None (not tested), "crossed": other span or None; and where it was
    looked at: "bad_seconds", "bad_names": seconds with an alarm, and which; "clock": {"within_ppm", "seconds"} of the clock doctor, "clocks": those of all
    spans, by the span's number as text; "up":
    whether the signalling is in service (not PRI); "prbs": None or {"busy"} or {"failed": sentence} or figures of media and "inserted"; "number", "configured_number", "out": result of
    test_calls.py or None; "incoming_s", "in"; "least_erl_db", "least_tone_dbm0"; of a line interface "level_db", "limit_db",
    "transmit", and "weak_db": the level of a signal that comes only while the threshold is lowered; "answers": the span on which the far
    end answers that hears this one, or None}"""
    findings = []

    def find(check, result, key, **arguments):
        arguments = {"span": facts["span"], "seconds": facts["seconds"], **arguments}
        words = {"names": _words(arguments["names"])} if "names" in arguments else {}
        findings.append({"check": check, "result": result, "key": key, "arguments": arguments, "text": SENTENCES[key] % {**arguments, **words}})
    _own_loop(facts, find)
    line = next((name for name in (*NOT_CARRIED, "los", "ais", "lfa") if name in facts["alarms"]), None)
    if line in NOT_CARRIED:
        facts = {**facts, "looped": None, "crossed": None}      # whatever was heard was not this line
        find("signal", "fail", "not_carried", names=line)
    comes_and_goes = facts.get("comings", 0) >= COMINGS_LEAST
    if comes_and_goes:
        find("signal", "fail", "comes_goes", times=facts["comings"], minutes=max(1, round(facts["comings_min"])))
    if line == "lfa":
        find("signal", "fail", "lfa_e1" if facts["type"] == "e1" else "lfa_t1", framing=facts["framing"].upper())
    elif line == "los" and not comes_and_goes:
        _no_signal(facts, find)
    elif line == "ais":
        find("signal", "fail", "ais")
    elif not line:
        if not comes_and_goes:
            find("signal", "pass", "signal_ok")
        _frames(facts, find)
    looped = bool(facts["loop"]) or facts["looped"]
    _loop(facts, line, find)
    _signalling(facts, line, looped, find)
    _calls(facts, find)
    clean = not (facts["alarms"] or facts["errors"] or facts["far_errors"] or looped or facts["crossed"])
    if facts["type"] == "e1" and clean and facts.get("prbs") is None and any(
            finding["key"] == "link_down" or finding["key"] in CALL_FAULTS for finding in findings):
        find("pairs", "note", "pairs_untested")
    return findings


def _frames(facts, find):
    """A line whose frames arrive."""
    alarms = facts["alarms"]
    _level(facts, find)
    if facts.get("transmit") in DEAD_PAIR:
        find("far end", "fail", "transmit_" + facts["transmit"])
    elif "rai" in alarms:
        find("far end", "fail", "rai_crc4" if facts["crc4"] and facts["type"] == "e1" else "rai")
    if alarms & {"no_crc4", "lmfa"}:
        find("crc4", "fail", "crc4_far_off")
    elif facts["type"] == "e1":
        find("crc4", "pass", "crc4_ok" if facts["crc4"] else "crc4_off")
    _alarm_free(facts, find)
    if facts.get("answers") is not None and not facts["crossed"]:
        same = facts["answers"] == facts["span"]
        find("pairs", "pass" if same else "fail", "pairs_ok" if same else "pairs_crossed", other=facts["answers"])
    _errors(facts, find)
    _clock(facts, find)


def _errors(facts, find):
    errors, far = facts["errors"], facts["far_errors"]
    strong = "weak" not in facts["alarms"]
    if facts["type"] == "e1" and errors and far and strong:
        find("errors", "fail", "errors_both", errors=errors, far=far)
        return
    if facts["type"] != "e1" and facts["blocks"] and errors >= 0.9 * facts["blocks"]:
        find("errors", "fail", "crc_all")
    elif errors and facts.get("level_db") is not None and strong:
        find("errors", "fail", "errors_level_good", errors=errors, level=facts["level_db"])
    elif errors:
        find("errors", "fail", "errors", errors=errors)
    else:
        find("errors", "pass", "errors_none")
    if far:
        find("errors", "fail", "far_errors", errors=far)


def _clock(facts, find):
    if facts["slips"]:
        agree, others = _others_agree(facts)
        find("clock", "fail", "clock_selected" if facts["clock_selected"] else "clock_odd" if agree else "clock_follow" if facts["side"] == "user" else "clock_far",
             slips=facts["slips"], ppm=facts["slips"] * SLIP_PPM / facts["seconds"], agree=agree, others=others)
    elif (facts.get("clock") or {}).get("seconds", 0) > facts["seconds"]:
        find("clock", "pass", "clock_within", ppm=facts["clock"]["within_ppm"], watched=facts["clock"]["seconds"])
    else:
        find("clock", "pass", "clock_ok")


def _loop(facts, line, find):
    """line: the alarm that keeps the line's bits from us, or None."""
    if facts["loop"]:
        find("loop", "fail", "looped_code" if facts["code"] else "looped_near", kind=facts["loop"])
    elif facts["crossed"]:
        find("loop", "fail", "crossed", other=facts["crossed"])
    elif facts["looped"]:
        find("loop", "fail", "looped_far")
    elif not line:
        find("loop", *(("note", "no_loop_test") if facts["looped"] is None else ("pass", "no_loop")))


def _signalling(facts, line, looped, find):
    waits = line or facts.get("transmit") in DEAD_PAIR      # layer 2 notices a dead transmit pair only when its timers are over
    if facts["signalling"] == "pri":
        if facts.get("d_span") is not None:
            find("d channel", *(("note", "link_of_group") if facts["link_up"] else ("fail", "link_of_group_down")), other=facts["d_span"])
        elif facts["link_up"] and not waits and not looped:
            find("d channel", "pass", "link_up")
        elif waits:
            find("d channel", "note", "link_waits")
        else:
            find("d channel", "fail", "link_looped" if looped else "link_down", timeslot=facts["d_timeslot"])
    elif facts["signalling"] != "none" and facts.get("up") is not None:
        kind = facts["signalling"].upper()
        if waits:
            find("signalling", "note", "signalling_waits", kind=kind)
        else:
            find("signalling", *(("pass", "signalling_up") if facts["up"] else ("fail", "signalling_down")), kind=kind)


def _words(names):
    """Kinds of alarms ("ais, los") in words."""
    return "; ".join(KINDS[name]["text"] if name in KINDS else name for name in names.split(", "))


def judge_so_far(facts, got):
    """Findings of a test that is not at its end: of what was measured already.  got: what the test has gathered (turn_up.py)."""
    calls = got.get("calls") or {}
    got = {**got, **{name: calls.get(name) for name in ("out", "in")}}
    known = set().union(*(checks for needed, checks in MEASURED if all(got.get(name) for name in needed)))
    return [finding for finding in judge({**facts, **calls}) if finding["check"] in known and finding["key"] != "pairs_untested"]


def cut(why, stage):
    """The finding of a test that did not come to its end.  why: "cancelled" or "interrupted"."""
    key = "cut_" + why
    return {"check": "test", "result": "note", "key": key, "arguments": {"stage": stage}, "text": SENTENCES[key] % {"stage": stage}}


def _others_agree(facts):
    """(how many of the other spans have one clock, of how many), or (0, ...) where they are no evidence against this span's far end: most of them
    must agree, with one another or a single one with the box, and this one differ from them."""
    rows = dict(facts.get("clocks") or {})
    this = rows.pop(str(facts["span"]), None)
    best = []
    for middle in rows.values():
        near = [row for row in rows.values() if _one_clock(row, middle)]
        if len(near) > len(best):
            best, centre = near, middle
    if this is None or 2 * len(best) <= len(rows) or len(rows) == 1 and centre["slips"] or _one_clock(this, centre):
        return 0, len(rows)
    return len(best), len(rows)


def _one_clock(row, other):
    """Whether two spans' far ends cannot be told apart by their offsets."""
    return abs(row["ppm"] - other["ppm"]) <= max(ALIKE * abs(other["ppm"]), row["within_ppm"] + other["within_ppm"])


def _no_signal(facts, find):
    """Why nothing comes: what the transmit pair sees tells the reasons apart."""
    if facts.get("weak_db") is not None:
        find("signal", "fail", "los_weak", level=facts["weak_db"], limit=facts["limit_db"])
    else:
        find("signal", "fail", {"open": "los_open", "ok": "los_pairs"}.get(facts.get("transmit"), "los"))


def _level(facts, find):
    level, limit = facts.get("level_db"), facts.get("limit_db")
    if level is not None:
        find("signal", *(("fail", "weak") if "weak" in facts["alarms"] else ("pass", "level_ok")), level=level, limit=limit)


def _own_loop(facts, find):
    prbs = facts.get("prbs")
    if prbs is None:
        return
    if "busy" in prbs:
        find("own loop", "note", "prbs_busy")
        return
    if "failed" in prbs:
        find("own loop", "fail", "prbs_failed", why=prbs["failed"].rstrip("."))
        return
    good = prbs["synced"] and prbs["errors"] == prbs["inserted"] and prbs["bits"]
    find("own loop", "pass" if good else "fail", "prbs_ok" if good else "prbs_bad", bits=prbs["bits"], timeslots=len(prbs["timeslots"]),
         errors=prbs["errors"], inserted=prbs["inserted"], synced="yes" if prbs["synced"] else "no")


def _alarm_free(facts, find):
    bad = facts.get("bad_seconds")
    if bad is not None:
        find("alarm-free time", *(("fail", "alarm_seconds") if bad else ("pass", "alarm_free")), bad=bad,
             names=", ".join(sorted(facts["bad_names"])) or "-")


def _calls(facts, find):
    """Test calls out and in, and what they measured."""
    if "out" not in facts or facts["signalling"] == "none":
        return
    number, result, waited = facts["number"], facts["out"], facts["incoming_s"]
    if not number:
        find("call out", "note", "call_unwanted" if facts.get("configured_number") else "call_none")
    elif result is None:
        find("call out", "note", "call_waits")
    else:
        _out(facts, result, find)
    result = facts["in"]
    if result is None and waited:
        find("call in", "fail", "call_in_missing", seconds=waited)
    elif result is not None:
        heard, bad = result["figures"], "fail" if waited else "note"      # nobody asked for a call that came by itself
        if heard is None:
            find("call in", bad, "call_in_unmeasured", timeslot=result["timeslot"], why=result["why"])
        elif heard["looped"]:
            find("call in", "pass", "call_in_looped", timeslot=result["timeslot"])
        elif heard["heard_hz"] is not None and heard["heard_dbm0"] >= facts["least_tone_dbm0"]:
            find("call in", "pass", "call_in_ok", timeslot=result["timeslot"], hz=heard["heard_hz"], dbm0=heard["heard_dbm0"])
        else:
            good = heard["level_dbm0"] > SILENCE_DBM0
            find("call in", "pass" if good else bad, "call_in_sound" if good else "call_in_silent", timeslot=result["timeslot"],
                 dbm0=heard["level_dbm0"])


def _out(facts, result, find):
    number, heard = facts["number"], result["figures"]
    answered = result["answer_ms"] is not None
    common = {"number": number, "answer_s": (result["answer_ms"] or 0) / 1000}
    if not answered:
        cause = result["cause"] or 0
        find("call out", "fail", "call_out_failed", cause=cause, meaning=result.get("meaning") or "none came",
             why=(result["why"] or "no reason is known").rstrip("."), **common)
        return
    if heard is None:
        find("call out", "fail", "call_out_unmeasured", why=result["why"], **common)
        return
    if heard["looped"]:
        find("call out", "pass", "call_out_looped", loss_db=max(0.0, heard["erl_db"]), **common)
    elif heard["heard_hz"] is not None:
        good = heard["heard_dbm0"] >= facts["least_tone_dbm0"]
        find("call out", "pass" if good else "fail", "call_out_ok" if good else "call_out_weak", hz=heard["heard_hz"], dbm0=heard["heard_dbm0"],
             least=facts["least_tone_dbm0"], **common)
    elif heard["level_dbm0"] > SILENCE_DBM0:
        find("call out", "note", "call_out_sound", dbm0=heard["level_dbm0"], **common)
    else:
        find("call out", "fail", "call_out_silent", dbm0=heard["level_dbm0"], **common)
    if heard["looped"]:
        find("echo", "note", "erl_looped")
    elif heard["erl_db"] is not None:
        low = heard["erl_db"] < facts["least_erl_db"]
        find("echo", "fail" if low else "pass", "erl_low" if low else "erl_least" if heard["erl_is_least"] else "erl_ok", erl_db=heard["erl_db"],
             least=facts["least_erl_db"])
