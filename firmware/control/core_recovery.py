"""Recovery: make state, adapters and media agree again after a restart of control.

The replayed state says what should be; the adapters say which legs they still have;
media's audit says what runs.  Each difference has one answer, and the answers only
use what live handling uses (released(), clear(), play(), ...), so a healed call goes on
as if nothing had happened:

    leg in state, not with the adapters      it is released, now (cause 41)
    leg with the adapters, not in state      its leg.offered was never committed: released
    set-up in the middle of its digits, or a telephone ringing directly: cleared with cause 41
    set-up to the outside                    goes on: Q.931 asks the far end; tone or path are asserted again
    telephone of an agent that rang          its INVITE is gone: offered again, nobody is set away
    answered in state, not with the adapter  leg.answer is repeated
    leg being released                       leg.release is repeated
    talking                                  bridges asserted again (core_parties.wire); recording: goes on, or a new one begins
    telephone that rang for an answered caller    rings again; the caller has been promised somebody
    queued, in the IVR, closing              plays on if the audit knows its token, else it is said again
    test call                                ends: who measured is gone
    answered, but media has no termination   media died too: cleared with cause 41
    termination, bridge, recording, signal that no call wants: removed
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_announcements, core_calls, core_ending, core_floor, core_home, core_ivr, core_listening, core_mailboxes, core_outside, core_parties, core_queues, core_recordings, core_test_calls
from firmware.control.core_base import SWITCH, TEMPORARY_FAILURE


def unguarded(what, leg, function, *args):
    """Calls; what it raises is the caller's."""
    return function(*args)


def resume(core, audit, live_legs, guard=unguarded):
    """Heal after a replay.  audit: media's, or None; live_legs: {leg: {"state"}} or a collection of leg ids.

    guard(what, leg, function, *args): calls, and sees to what is raised (control/turns.py): then that call is cleared with
    cause 41, and the healing of all others goes on."""
    state = core.state
    live = live_legs if isinstance(live_legs, dict) else dict([(leg, {}) for leg in live_legs])
    core.emit("core.resumed", calls=len(state.calls))
    for name in core.agent_names:
        agent = state.agent(name)
        if not agent.status_known:
            core.emit("agent.status", agent=name, status=agent.status, reason=None, by="configuration")
    if audit is not None and not state.media_up:
        core.emit("media.back")
    for name in sorted(live):
        if name not in state.legs:
            core.act("leg.release", leg=name, cause=TEMPORARY_FAILURE)
    _each(core, guard, "legs", _legs, live)
    if audit is not None:
        there = _ids(audit, "terminations")
        _each(core, guard, "terminations", _terminations, there)
    _each(core, guard, "state", _call, audit, live)
    if audit is not None:
        guard("healing: strays", None, strays, core, audit)
    guard("healing: announcements", None, core_announcements.forget, core)
    if audit is not None:
        guard("healing: listening", None, core_listening.again, core)
        guard("healing: what people play", None, core_floor.again, core, audit)
    for queue in core.queue_names:
        core.touch(queue)


def _each(core, guard, what, function, *args):
    """function(core, call, *args) for each call that still stands."""
    for call in core.state.calls_in_order():
        if call.id in core.state.calls:
            guard("healing of call %s: %s" % (call.id, what), call.caller_leg, function, core, call, *args)


def _legs(core, call, live):
    state = core.state
    before = list(call.legs)
    _interrupt_offer(core, call)
    _interrupt_ringing(core, call, live)
    for name in before:
        leg = state.legs.get(name)
        if leg is None or leg.tech == "none":
            continue
        if leg.tech == "home":              # known to us alone: what rang is offered anew
            if leg.state != legs.ANSWERED:
                core_calls.released(core, {"leg": name, "cause": leg.cause or TEMPORARY_FAILURE, "by": "near"})
            continue
        if name not in live:
            core_calls.released(core, {"leg": name, "cause": leg.cause or TEMPORARY_FAILURE, "by": "near" if leg.cause else "failure"})
        elif leg.state == legs.RELEASING:
            core.act("leg.release", leg=name, cause=leg.cause)
        elif name == call.caller_leg and leg.state == legs.ANSWERED and \
                _view(live, name).get("state", "answered") not in ("answered", "releasing"):
            core.act("leg.answer", leg=name)


def _view(live, name):
    view = live[name]
    return view if isinstance(view, dict) else {}


def _interrupt_offer(core, call):
    """An agent's telephone that rang was cancelled by the restart; it is no fault of the agent."""
    if call.offer is not None:
        core_ending.withdraw(core, call, "interrupted")
        core_queues.still_waiting(core, call)


def _interrupt_ringing(core, call, live):
    """A telephone that rang for a caller who has been answered was cancelled by the restart: it rings again."""
    leg = core.state.legs.get(call.target_leg)
    if (call.state != calls.RINGING or leg is None or leg.line is None or leg.id in live or call.caller_leg not in live
            or call.answered_ms is None):
        return
    core.emit("call.ringing_ended", call=call.id, leg=leg.id, outcome="interrupted", cause=None)
    core_parties.free_party(core, call, leg)
    core.emit("leg.released", call=call.id, leg=leg.id, agent=leg.agent, cause=TEMPORARY_FAILURE, by="near", sip_status=None)
    core.act("media.subtract", leg=leg.id)
    core_calls.ring(core, call, "line", leg.line, call.failed)


def _terminations(core, call, there):
    """An answered call that media does not know: media was started anew while control was away."""
    if call.answered_ms is None or call.state == calls.CLEARING:
        return
    parties = [call.caller_leg] + ([call.agent_leg] if call.state == calls.TALKING else [])
    for leg in parties:
        if leg not in there and state_leg_is_real(core, leg):
            core_ending.clear(core, call, TEMPORARY_FAILURE, SWITCH, core_ending.result_of(call, SWITCH), "media has lost the call")
            break


def state_leg_is_real(core, leg):
    """Whether a leg is one that adapters and media know; that of a callback's absent caller is not."""
    return leg not in core.state.legs or core.state.legs[leg].tech not in ("none", "home")


def _call(core, call, audit, live):
    target = core.state.legs.get(call.target_leg)
    if call.state == calls.RINGING and call.answered_ms is not None and target is not None and target.line is not None:
        if target.id in live and call.signal is not None and call.signal["token"] not in _tokens(audit or {}, call.caller_leg):
            core.play(call, call.signal["purpose"], call.signal["items"], call.signal["repeat"])
        return                          # rings on, or again
    if call.state == calls.RINGING and core_outside.resume(core, call, _tokens(audit or {}, call.caller_leg)):
        return
    if call.state in (calls.COLLECTING, calls.RINGING):
        core_ending.fail(core, call, TEMPORARY_FAILURE, "interrupted by a restart during set-up")
    elif audit is None or call.state == calls.CLEARING:
        return
    elif call.state == calls.TALKING:
        _talking(core, call, audit)
    else:
        core.listen(call)
        if call.state == calls.IVR:
            core_ivr.recover(core, call, call.signal is not None and call.signal["token"] in _tokens(audit, call.caller_leg), _ids(audit, "streams"))
            return
        if call.signal is not None and call.signal["token"] in _tokens(audit, call.caller_leg):
            return
        if call.state == calls.PARKED:
            core_parties.hold_music(core, call)
        elif call.state == calls.QUEUED:
            core_queues.music(core, call)
        elif call.state == calls.TESTING:
            core_test_calls.resume(core, call)
        elif call.state == calls.HOME:
            core_home.resume(core, call)
        elif call.state == calls.MAILBOX:
            core_mailboxes.resume(core, call, _ids(audit, "recordings"))
        elif call.state == calls.ANNOUNCING:
            if call.signal is None:
                core_calls.announced(core, call)
            else:
                core.play(call, call.signal["purpose"], call.signal["items"], call.signal["repeat"])
        elif call.state == calls.CLOSING:
            signal = call.signal
            if signal is None:
                core_ending.close_now(core, call)
            else:
                core.play(call, signal["purpose"], signal["items"], signal["repeat"])


def _talking(core, call, audit):
    core_parties.wire(core, call)
    if call.signal is not None and call.signal["token"] not in _tokens(audit, call.caller_leg):
        core_parties.hold_music(core, call)
    recording = call.recording
    if recording is None or core.state.recordings[recording]["state"] != "open":
        return
    if recording in _ids(audit, "recordings"):
        row = next(entry for entry in audit["recordings"] if entry == recording or isinstance(entry, dict) and entry["id"] == recording)
        if isinstance(row, dict) and "paused" in row:
            core_recordings.repeat(core, call, row)
        return
    # Never the same file again: it may hold what was said before.
    core.emit("recording.closed", call=call.id, recording=recording, octets=None, duration_ms=None, reason="not_found")
    core_calls.record(core, call)


def strays(core, audit):
    """Take out of media what no call wants."""
    state = core.state
    wanted = {}
    for call in state.calls.values():
        if call.bridge is not None:
            wanted[call.bridge] = True
        if call.consult is not None:
            wanted[call.consult["bridge"]] = True
    for bridge in sorted(_ids(audit, "bridges")):
        if bridge not in wanted:
            core.act("media.bridge", bridge=bridge, legs=[])
    for recording in sorted(_ids(audit, "recordings")):
        known = state.recordings.get(recording)
        if known is None or known["state"] != "open":
            core.act("media.record_stop", recording=recording)
    for signal in audit.get("signals") or []:
        leg = state.legs.get(signal.get("id"))
        call = state.calls.get(leg.call) if leg is not None else None
        if call is not None and leg.id == call.caller_leg and call.signal is None and signal.get("token") not in leg.streams and not core_floor.plays(core, leg.id, signal.get("token")):
            core.act("media.stop", leg=leg.id)
    for leg in sorted(_ids(audit, "terminations")):
        if leg not in state.legs:
            core.act("media.subtract", leg=leg)


def _ids(audit, part):
    found = {}
    for entry in audit.get(part) or []:
        found[entry["id"] if isinstance(entry, dict) else entry] = True
    return found


def _tokens(audit, leg):
    return [signal.get("token") for signal in audit.get("signals") or [] if signal.get("id") == leg]


# Media alone dies and comes back.

def media_lost(core):
    """Media is gone, and with it every conversation: all calls are cleared, recordings are what they are."""
    state = core.state
    if not state.media_up:
        return False
    core.emit("media.lost")
    for call in state.calls_in_order():
        if call.id in state.calls and not (core.is_absent(call) and call.state == calls.QUEUED):
            core_ending.clear(core, call, TEMPORARY_FAILURE, SWITCH, core_ending.result_of(call, SWITCH), "media has died")
    for recording in sorted(state.recordings):
        core.emit("recording.closed", call=state.recordings[recording]["call"], recording=recording, octets=None, duration_ms=None,
                  reason="media_lost")
        core_mailboxes.recording_closed(core, recording, None)
    return True


def media_back(core, event):
    """Media serves again; what it still holds (it was only out of reach) is removed."""
    if core.state.media_up:
        return False
    core.emit("media.back")
    core_home.look(core)
    core.ways_on["fax_look"](core)
    for queue in core.queue_names:      # of callbacks that wait
        core.touch(queue)
    if event.get("audit") is not None:
        strays(core, event["audit"])
    return True
