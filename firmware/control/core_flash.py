"""What a hook flash of an analog telephone does (register recall): a second call, changing over, a conference.

The gateway before the telephone tells it by INFO or as an event of RFC 4733 ("!" among the digits), where it is set to leave flashes to its
exchange.  What then happens is the line's setting `flash`:

                                    plain                              keys
    it talks                        the other waits with music; dial tone, a number (both)
    dial tone, or number refused    back to who waits (both)
    the second telephone rings      back to who waits (both)
    the second one has answered     all talk together                  one of the keys below
    all talk together               who came last goes                 one of the keys below

    1   who it talks with goes, and it talks with the other; of three, who came last goes
    2   it changes over to the other, who heard music
    3   all talk together

The number is dialled as any call of that telephone (in tones, events or INFO); it ends with #, with the last digit that it can have, or after
BETWEEN_MS.  Hanging up is a transfer where a second call is there; where somebody only waits, the telephone rings again.

Call.register is {leg, step, input} while digits of the telephone are for this: step DIALLING, REFUSED (busy tone) or KEY.
"""

from firmware.call import call as calls
from firmware.call import leg as legs
from firmware.call.number_plan import MORE
from firmware.call.outside import CLASSES, LONGEST_NUMBER
from firmware.control import core_calls, core_operations, core_parties
from firmware.control.core_base import NORMAL

FLASH = "!"             # among the digits
DIALLING, REFUSED, KEY = "dialling", "refused", "key"

# Invented, as exchanges have them: dial tone, between two digits, and for a key after the flash.
DIAL_TONE_MS = 15000
BETWEEN_MS = 4000
KEY_MS = 4000


def flashed(core, event):
    """A telephone's hook was flashed.  event: leg."""
    call, leg = core.call_of(event["leg"]), core.state.legs.get(event["leg"])
    kind = (core.line_rows.get(leg.line) or {}).get("flash", "off") if leg is not None else "off"
    if call is None or kind == "off" or leg.state != legs.ANSWERED or leg.id not in (call.caller_leg, call.agent_leg):
        return False
    if not core_parties.acting(core, call, leg.id):
        return False
    consult = call.consult
    if call.register is not None and call.register["step"] != KEY:
        return core_operations.retrieve(core, {"call": call.id, "by": leg.id})
    if consult is None and not call.members:
        _dial(core, call, leg)
    elif consult is not None and consult["state"] == "ringing":
        core_parties.consult_over(core, call, "dropped")
    elif kind == "keys":
        _step(core, call, leg.id, KEY, "", KEY_MS)
    elif consult is not None:
        core_parties.join(core, call)
    else:
        _last_goes(core, call)
    return True


def _dial(core, call, leg):
    if not call.held:
        core_parties.hold(core, call, call.agent or "")
    core.act("media.detect", leg=leg.id, dtmf=True)
    _step(core, call, leg.id, DIALLING, "", DIAL_TONE_MS)
    _tone(core, call, leg.id, "dial")


def _step(core, call, leg, step, digits, lasts_ms, **more):
    core.emit("call.register", call=call.id, leg=leg, agent=call.agent, step=step, input=digits,
              deadline_ms=None if lasts_ms is None else core.now_ms + lasts_ms, **more)


def _tone(core, call, leg, tone):
    core.act("media.signal", leg=leg, token="%s-f%d-%s" % (call.id, call.signals, tone), items=[{"tone": tone}], repeat=0)


def _last_goes(core, call):
    core.release_leg(core.state.legs[call.members[-1]], NORMAL)


def digit(core, call, leg, key):
    """A key of a telephone.  Whether it was one for this."""
    register = call.register
    if register is None or register["leg"] != leg:
        return False
    if register["step"] == KEY:
        _step(core, call, leg, None, "", None)
        _chosen(core, call, key)
    elif register["step"] == DIALLING:
        if not register["input"]:
            core.act("media.stop", leg=leg)         # dial tone
        whole = key == "#" and bool(register["input"])
        digits = register["input"] if whole else (register["input"] + key)[:LONGEST_NUMBER]
        if whole or core.router.find(digits, False, True, CLASSES)[0] != MORE:
            _call(core, call, leg, digits)
        else:
            _step(core, call, leg, DIALLING, digits, BETWEEN_MS)
    return True


def timeout(core, call):
    """No digit came."""
    register = call.register
    if register is None:
        return False
    if register["step"] == DIALLING:
        _call(core, call, register["leg"], register["input"])
    else:
        _step(core, call, register["leg"], None, "", None)
    return True


def _call(core, call, leg, digits):
    """The number is there: the second call, or busy tone until the next flash."""
    if digits and core_operations.consult(core, {"call": call.id, "by": leg, "to": "number", "target": digits}):
        return
    why, core.refusal = core.refusal if digits else "nothing was dialled", None
    _step(core, call, leg, REFUSED, digits, None, why=why)
    _tone(core, call, leg, "busy")


def _chosen(core, call, key):
    """The key after a flash."""
    consult = call.consult
    asked = consult is not None and not consult["join"] and consult["state"] != "ringing"
    if key == "1" and asked and consult["state"] == "waiting":
        core.release_leg(core.state.legs[call.caller_leg], NORMAL)
    elif key == "1" and asked:
        core_parties.consult_over(core, call, "dropped")
    elif key == "1" and call.members:
        _last_goes(core, call)
    elif key == "2" and asked:
        core_parties.change_over(core, call)
    elif key == "3" and asked:
        core_parties.join(core, call)


def hung_up(core, call, leg):
    """The telephone, whose leg is gone, was hung up while somebody waits: it rings again.  Whether it was so."""
    register = call.register
    if call.state != calls.TALKING or not call.held or register is None or register["leg"] != leg.id:
        return False
    core_parties.detach(core, call, "hook")
    core_parties.free_party(core, call, leg)
    core_calls.ring(core, call, "line", leg.line, None)
    return True
