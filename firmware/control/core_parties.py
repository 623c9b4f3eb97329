"""Who hears whom in a call that is up, and how parties come and go.

The state says who takes part: caller_leg, agent_leg ("the agent's side": whoever serves the caller), members of a
conference, the party consulted meanwhile, supervisors who listen.  rooms() is the picture of bridges that follows;
wire() has media make it so, and may be asked for at any time (it repeats what stands):

    nobody consulted     caller - agent - members
    caller held          agent alone: no bridge, the caller hears music
    consulting           caller hears music (or goes on with the members), agent - consulted party
    changed over         agent - caller (and members), the consulted party hears music
    a supervisor         is in the agent's bridge; listen: hears all and nobody hears him; whisper: the agent
                         alone hears him; barge: everybody does

A call has one caller_leg and one agent_leg as long as it talks.  Where the acting side is the caller's (our own
telephone has dialled), the two are turned first, and where a party leaves a conversation of three, another takes
that place: so every operation is written once, for the agent's side.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_dead_air, core_floor, core_listening, core_recordings
from firmware.control.core_base import BUSY, NO_ANSWER, NORMAL, SUBSCRIBER_ABSENT, SWITCH
from firmware.control.core_ending import clear, free_agent, leave_seat

LISTEN, WHISPER, BARGE = "listen", "whisper", "barge"
MODES = (LISTEN, WHISPER, BARGE)
CARRIES_DATA = "call %s carries data; nothing can be heard, played or recorded there, and it cannot be held"


def rooms(core, call):
    """[(bridge, [legs that talk], [(leg, mode) of supervisors])] that should stand for a call that talks, the main one first."""
    consult = call.consult
    apart = consult is not None and not consult["join"] and consult["state"] != "waiting"
    main = [] if call.held else [call.caller_leg]
    if not apart and call.agent_leg is not None:
        main.append(call.agent_leg)
    main += call.members or []
    second = [call.agent_leg, consult["leg"]] if apart and consult["state"] == "talking" else []
    heard = [(row[0], row[1]) for row in call.monitors or [] if row[0] in core.state.legs and core.state.legs[row[0]].state == legs.ANSWERED]
    found = []
    for bridge, members, here in ((call.bridge, main, not second), (consult["bridge"] if consult else None, second, bool(second))):
        if bridge is not None:
            found.append((bridge, members if len(members) > 1 else [], heard if here and len(members) > 1 else []))
    return found


def wire(core, call):
    """Have media join and part as the state says."""
    if call.state != calls.TALKING:
        return
    core_dead_air.watch(core, call, core_listening.hear)
    wanted = rooms(core, call)
    for bridge, members, heard in wanted:
        if not members:
            core.act("media.bridge", bridge=bridge, legs=[])
    for bridge, members, heard in wanted:
        if not members:
            continue
        core.act("media.bridge", bridge=bridge, legs=members + [leg for leg, mode in heard])
        conference = core_floor.settings(core, call, members, heard)
        if call.members is not None or conference["loudest"] is not None or call.monitors is not None:
            core.act("media.conference", bridge=bridge, **conference)
        for leg, mode in heard:
            for other in members:
                both = mode == BARGE or mode == WHISPER and other == call.agent_leg
                core.act("media.topology", bridge=bridge, **{"from": other, "to": leg, "way": "both" if both else "one"})
            for other, its_mode in heard:
                if other > leg:
                    core.act("media.topology", bridge=bridge, **{"from": leg, "to": other, "way": "none"})


def _music(core, call):
    return [{"music": (core.queue_configs.get(call.queue) or {}).get("music") or "default"}]


def hold_music(core, call):
    """What a caller hears who is kept."""
    core.play(call, "music", _music(core, call), 0)


def hold(core, call, by):
    """The caller waits, with music."""
    core.emit("call.held", call=call.id, leg=call.caller_leg, agent=call.agent, by=by)
    wire(core, call)
    hold_music(core, call)


def unhold(core, call):
    """The caller is there again."""
    if call.held:
        core.silence(call)
        core.emit("call.retrieved", call=call.id, leg=call.caller_leg, agent=call.agent)
    wire(core, call)


def turn(core, call, caller_leg, agent_leg, why, **more):
    """Other legs take the two places."""
    if call.signal is not None and call.caller_leg != caller_leg:
        core.silence(call)
    leg = core.state.legs[agent_leg]
    core.emit("call.turned", call=call.id, leg=agent_leg, agent=core.agent_on(leg.line), queue=call.queue, caller_leg=caller_leg,
              agent_leg=agent_leg, why=why, **more)


def acting(core, call, by):
    """Make the side that acts the agent's side.  by: agent, line or leg, None: whoever is ours.  False: refused."""
    if call.state != calls.TALKING:
        return core.refuse("call %s is not in conversation, it is %s" % (call.id, call.state))
    if call.is_data:
        return core.refuse(CARRIES_DATA % call.id)
    agent_leg, caller_leg = core.state.legs[call.agent_leg], core.state.legs[call.caller_leg]

    def is_by(leg):
        return by in (leg.id, leg.line) or by == core.agent_on(leg.line)
    ours = agent_leg.line is not None or caller_leg.line is None if by is None else is_by(agent_leg)
    if ours:
        return True
    if by is not None and not is_by(caller_leg):
        return core.refuse("%s takes no part in call %s" % (by, call.id))
    if call.held or call.consult is not None or call.members:
        return core.refuse("call %s is held or in consultation by the other side" % call.id)
    dialled = {"caller": call.outside["digits"]} if call.outside is not None else {}
    turn(core, call, agent_leg.id, caller_leg.id, "side", **dialled)
    return True


def detach(core, call, why, recall=None, apart=True):
    """The agent's side leaves a call that goes on.  apart: the conversation ends, else another takes the place at once."""
    leg, name = core.state.legs.get(call.agent_leg), call.agent
    core.silence(call)
    core_recordings.part(core, call)
    if apart and call.bridge is not None:
        bridge = call.bridge
        core.emit("call.unbridged", call=call.id, agent=name, bridge=bridge)
        core.act("media.bridge", bridge=bridge, legs=[])
    core.emit("call.detached", call=call.id, leg=call.agent_leg, agent=name, queue=call.queue, by=name, recall=recall, why=why)
    if leg is not None:
        release_party(core, call, leg)


def release_party(core, call, leg):
    """One leg of a call that goes on is released, and its agent has done with the call."""
    free_party(core, call, leg)
    core.release_leg(leg, NORMAL)


def free_party(core, call, leg):
    """The agent of a leg has done with the call."""
    name = leg.agent or core.agent_on(leg.line)
    if name is not None and core.state.agent(name).call == call.id and core.state.agent(name).state in ("talking", "offered"):
        free_agent(core, call, name)
    elif name is not None:
        leave_seat(core, name)


def move(core, call, other, leg, role):
    """A leg of ours comes from its own call into another one, and its agent with it."""
    name = core.agent_on(leg.line)
    core.emit("leg.moved", call=other.id, leg=leg.id, agent=name, role=role, **{"from": call.id})
    if name is not None and core.state.agent(name).call is None:
        core.emit("agent.busy", call=other.id, leg=leg.id, agent=name, state="talking")


# The party who is asked meanwhile.

def consulted(core, call, leg):
    """The party that was asked has answered."""
    core.emit("leg.answered", call=call.id, leg=leg.id, agent=core.agent_on(leg.line), by="far", connects=False)
    if leg.agent is not None:
        core.emit("agent.busy", call=call.id, leg=leg.id, agent=leg.agent, state="talking")
    core.emit("call.consulted", call=call.id, leg=leg.id, agent=leg.agent)
    core.act("media.stop", leg=call.agent_leg)
    if call.consult["join"]:
        join(core, call)
    else:
        wire(core, call)


def change_over(core, call):
    """The agent's side talks with the other of the two: the one waits with music, caller or consulted party."""
    leg, waits = call.consult["leg"], call.consult["state"] == "talking"
    if not waits:
        core.act("media.stop", leg=leg)
    core.emit("call.changed_over", call=call.id, leg=leg, agent=call.consult["agent"], waits=waits)
    if waits:
        unhold(core, call)
        core.act("media.signal", leg=leg, token="%s-w%d" % (call.id, call.signals), items=_music(core, call), repeat=0)
    elif call.members:
        wire(core, call)
    else:
        hold(core, call, call.agent or "")


def join(core, call):
    """The consulted party comes into the conversation."""
    leg = call.consult["leg"]
    drop_bridge(core, call)
    core.emit("call.consult_ended", call=call.id, leg=leg, agent=call.consult["agent"], outcome="joined", cause=None)
    core.emit("call.joined", call=call.id, leg=leg, agent=core.state.legs[leg].agent)
    unhold(core, call)
    core_floor.told(core, call, core.state.legs[leg], "conference_in")


def drop_bridge(core, call):
    """Take the bridge of the consultation away, or the music of who was asked and waits."""
    if call.consult["state"] == "talking" and not call.consult["join"]:
        core.act("media.bridge", bridge=call.consult["bridge"], legs=[])
    elif call.consult["state"] == "waiting":
        core.act("media.stop", leg=call.consult["leg"])


def consult_over(core, call, outcome, cause=None):
    """The consultation ends without a transfer; the agent is with the caller again."""
    end_consult(core, call, outcome, cause)
    unhold(core, call)


def end_consult(core, call, outcome, cause=None):
    """Let go of who was asked."""
    leg = core.state.legs.get(call.consult["leg"])
    drop_bridge(core, call)
    core.act("media.stop", leg=call.agent_leg)
    core.emit("call.consult_ended", call=call.id, leg=call.consult["leg"], agent=call.consult["agent"], outcome=outcome, cause=cause)
    if leg is not None:
        release_party(core, call, leg)


def consult_outcome(cause):
    """How the record calls a cause."""
    return "busy" if cause in (BUSY, 21) else "no_answer" if cause in (18, NO_ANSWER, SUBSCRIBER_ABSENT) else "failed"


# Legs that go by themselves.

def left(core, call, leg, cause, by):
    """A leg of a call that talks is gone.  Whether the conversation goes on without it; the leg is out of the state already."""
    state = core.state
    if leg.role == legs.MONITOR:
        core.emit("call.monitor_ended", call=call.id, leg=leg.id, agent=leg.agent)
        free_party(core, call, leg)
        wire(core, call)
        return True
    if call.state != calls.TALKING or call.consult is None and not call.members:
        return False
    consult = call.consult
    if leg.id in (call.members or ()):
        core.emit("call.parted", call=call.id, leg=leg.id, agent=leg.agent)
        free_party(core, call, leg)
        wire(core, call)
        core_floor.told(core, call, leg, "conference_out")
        return True
    if consult is not None and leg.id == consult["leg"]:
        if by == "failure" or consult["state"] == "ringing":
            consult_over(core, call, consult_outcome(cause), cause)
        else:
            consult_over(core, call, "left", cause)
        free_party(core, call, leg)
        return True
    if leg.id not in (call.caller_leg, call.agent_leg):
        return False
    rest = [other for other in call.members or [] if other in state.legs and state.legs[other].state == legs.ANSWERED]
    conference = bool(rest)
    if consult is not None and consult["state"] != "ringing" and leg.id == call.caller_leg and call.agent_leg in state.legs:
        if not rest and not consult["join"]:
            drop_bridge(core, call)
            core.emit("call.consult_ended", call=call.id, leg=consult["leg"], agent=consult["agent"], outcome="joined", cause=None)
            rest = [consult["leg"]]
    if not rest:
        return False
    if call.consult is not None:
        consult_over(core, call, "dropped")
    core_recordings.part(core, call)
    if leg.id == call.caller_leg:
        turn(core, call, rest[0], call.agent_leg, "left", gone=True)
    else:
        turn(core, call, call.caller_leg, rest[0], "left")
    core.ways_on["record"](core, call)
    free_party(core, call, leg)
    if call.held:
        core.emit("call.retrieved", call=call.id, leg=call.caller_leg, agent=call.agent)
    wire(core, call)
    if conference:
        core_floor.told(core, call, leg, "conference_out")
    return True


def end_of_talk(core, call, cause):
    """The agent's side hung up in the middle of a consultation: the caller goes to whom it asked.  Whether it was so."""
    if call.state != calls.TALKING or call.consult is None or call.consult["join"] or core.state.legs.get(call.consult["leg"]) is None:
        return False
    core.ways_on["complete"](core, call)
    return True


def end(core, call, why):
    """Nobody is left to talk with."""
    clear(core, call, NORMAL, SWITCH, "answered", why)
