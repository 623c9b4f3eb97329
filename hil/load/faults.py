"""Faults in the middle of the load, each with what it may cost: only what must die dies.

A fault is (name, begin(rig) -> excuse, end(rig), seconds).  excuse(call): whether that call may fail while the fault lasts and
SETTLE_S after it.  An answered call that is not in the fault's way is never excused.
"""

import time

from hil.board import bench

SETTLE_S = 12.0
CUT_S = 8.0
D_TIMESLOT = 16


def in_motion(call):
    """Not yet answered at both ends, or being cleared: signalling is what it waits for."""
    return len(call.connected) < 2 or call.cleared is not None


def touches(kind):
    return lambda call: in_motion(call) and kind in (call.kind, call.callee_kind)


def _spoil(rig, span, seconds):
    """Bits of the D channel or signalling link are spoiled both ways, the other timeslots stay as they are."""
    for fault in ("rx_bits", "tx_bits"):
        answer = bench.ask(str(rig.run_dir), {"do": "inject", "span": span, "fault": fault, "count": int(8000 * seconds), "timeslot": D_TIMESLOT, "on": True})
        if not answer["ok"]:
            raise RuntimeError("The board refuses to spoil timeslot 16 of span %d: %s" % (span, answer.get("error")))


def cut_d_channel(rig):
    _spoil(rig, rig.pri_spans[0], CUT_S)
    return touches("pri")


def cut_link(rig):
    _spoil(rig, rig.links()[0][0], CUT_S)
    return touches("ss7")


def cut_linkset(rig):
    for span, _, _ in rig.links():
        _spoil(rig, span, CUT_S)
    # Ours keeps its answered calls (tests/live/test_ss7_script.py); libss7 forgets all of its own at once, and resets the circuits when it is back.
    return lambda call: "ss7" in (call.kind, call.callee_kind)


def restart_far_end(rig):
    """One exchange process ends and another begins: the calls of its span die."""
    end = rig.ends["r2"][-1]
    end.stop()
    time.sleep(1.0)
    end.begin_anew()
    return lambda call: end in (call.caller, call.callee) or (in_motion(call) and "r2" in (call.kind, call.callee_kind))


def kill_control(rig):
    rig.kill("control")
    return in_motion


def kill_media(rig):
    rig.kill("media")
    return lambda call: True


FAULTS = {"D channel cut": cut_d_channel, "one of two SS7 links cut": cut_link, "whole linkset cut": cut_linkset,
          "far end restarted": restart_far_end, "control killed": kill_control, "media killed": kill_media}
