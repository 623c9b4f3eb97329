"""A party whose page is gone for the moment: a browser phone that is loaded anew, or was closed (links/sip_browsers.py says so).

Who talks with it hears music until it is back, or until its leg ends; nobody is held who is held, in consultation or in a conference.

A telephone that has failed and comes back no more, page or not (lost): a queue's caller whose agent it was goes back to the queue, with the
place and the waiting time of before; the agent is set away as after an offer that failed, else the same telephone would be asked for ever.
The visit to the queue counts once, with its first answer; the talk is counted as talk.  The recording goes on as after a transfer.
"""

from firmware.acd import agent as agents
from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.control import core_dispatch, core_queues
from firmware.control.core_parties import acting, detach, end_consult, free_party, hold, unhold


def away(core, event):
    """A page is gone."""
    call, leg = core.call_of(event["leg"]), core.state.legs.get(event["leg"])
    if call is None or leg.state != legs.ANSWERED or leg.away:
        return False
    alone = call.state == calls.TALKING and leg.id in (call.caller_leg, call.agent_leg) and not (call.held or call.consult or call.members or call.is_data)
    holds = bool(alone and acting(core, call, leg.id))
    core.emit("leg.away", call=call.id, leg=leg.id, agent=core.agent_on(leg.line), holds=holds)
    if holds:
        hold(core, call, call.agent or "")
    return True


def back(core, event):
    """It is there again."""
    call, leg = core.call_of(event["leg"]), core.state.legs.get(event["leg"])
    if call is None or not leg.away:
        return False
    holds = leg.away["holds"]
    core.emit("leg.back", call=call.id, leg=leg.id, agent=core.agent_on(leg.line))
    if holds and call.held and call.consult is None and call.agent_leg == leg.id:
        unhold(core, call)
    return True


def lost(core, call, leg):
    """An agent's telephone has failed in a conversation.  Whether the caller waits in the queue again; the leg is out of the state already."""
    caller = core.state.legs.get(call.caller_leg)
    if leg.role != legs.AGENT or call.queue not in core.queue_configs or call.callback is not None or not core.state.media_up:
        return False
    if caller is None or caller.state != legs.ANSWERED:
        return False
    if call.consult is not None:
        end_consult(core, call, "dropped")
    name = call.agent
    detach(core, call, "lost")
    free_party(core, call, leg)
    if name is not None and core.state.agent(name).status == agents.AVAILABLE:
        core.emit("agent.status", call=call.id, agent=name, status=agents.ON_BREAK, reason=core_dispatch.AWAY["failed"], by="switch")
    core_queues.wait_again(core, call)
    return True
