"""Recordings that failed: a call that goes on is recorded anew once the disk takes data again.

What was written before the failure stays a recording of its own; the new one is the call's next segment, and the
time between the two is missing.  The CDR names both."""

from firmware.call import call as calls
from firmware.control import core_calls


def room(core, event):
    """The disk takes recordings again: who talks and is not recorded, is from now on."""
    if not (core.config.get("recording") or {}).get("enabled", True):
        return False
    without = [call for call in core.state.calls_in_order() if call.state == calls.TALKING and call.recording is None]
    for call in without:
        core_calls.record(core, call)
    return bool(without)
