"""Supplementary services of ETSI in FACILITY messages: components of EN 300 196-1 (ROSE), and those services that are used.

    malicious call identification   EN 300 130-1: invoke mCIDRequest (local operation 3, no argument) by the called user; the network
                                    answers with a return result, or an error
    explicit call transfer          EN 300 369-1: invoke ectExecute (local operation 6, no argument) on the held call by a user who has an active
                                    one, too; the network joins the two far parties and clears both calls.  As the network we take this one where the
                                    user has one such pair, and explicitEctExecute (7) with the link identifier that ectLinkIdRequest (10) on the
                                    other call got; the result goes with our DISCONNECT, an error where nobody is joined in JOIN_MS

components(octets) -> [("invoke", id, operation, argument) | ("result", id) | ("error", id, number) | ("reject", id, problem)]; what cannot
be read is no component, and no fault.  octets: contents of a Facility element."""

from firmware.errors import LocalError
from firmware.proto.q931.codes import CHANNEL_UNACCEPTABLE

PROFILE_ROSE = 0x91                     # octet 3: remote operations protocol
MCID, ECT, EXPLICIT_ECT, ECT_LINK_ID = 3, 6, 7, 10
NOT_AVAILABLE, INVALID_CALL_STATE = 3, 7
MCID_MS = 10000                         # ours: EN 300 130 leaves the time to the user
FIRST_ECT = 101                 # invoke identifiers of ECT are 101 to 126, those of MCID 1 to 100
QUESTIONS = (("THOLD", "hold_failed"), ("TRETRIEVE", "retrieve_failed"), ("TECT", "ect_failed"), ("TMCID", "mcid_failed"))
ERRORS = {0: "not subscribed", 3: "not available", 7: "not possible in this state of the call"}     # EN 300 196-1 annex C


def invoke(identity, operation):
    """Contents of a Facility element with an invoke that has no argument."""
    return bytes([PROFILE_ROSE, 0xA1, 6, 2, 1, identity & 0x7F, 2, 1, operation])


def result(identity):
    """... with a return result that has none."""
    return bytes([PROFILE_ROSE, 0xA2, 3, 2, 1, identity & 0x7F])


def link_result(identity, link):
    """... with that of ectLinkIdRequest, whose result is an identifier of two octets."""
    value = bytes([2, 1, ECT_LINK_ID, 2, 2]) + link.to_bytes(2, "big")
    return bytes([PROFILE_ROSE, 0xA2, 5 + len(value), 2, 1, identity & 0x7F, 0x30, len(value)]) + value


def error(identity, number):
    """... with a return error."""
    return bytes([PROFILE_ROSE, 0xA3, 6, 2, 1, identity & 0x7F, 2, 1, number])


def _items(octets):
    """[(tag, contents)] of BER with short tags; ends where it cannot be read on."""
    found, at = [], 0
    while at + 2 <= len(octets):
        size, start = octets[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 1 <= count <= 2 or start + count > len(octets):
                break
            size, start = int.from_bytes(octets[start:start + count], "big"), start + count
        if start + size > len(octets):
            break
        found.append((octets[at], octets[start:start + size]))
        at = start + size
    return found


def _number(item):
    return int.from_bytes(item[1], "big") if item[0] & 0x1F in (1, 2, 10) and 1 <= len(item[1]) <= 2 else None


def components(octets):
    """See the module's docstring."""
    if not octets or octets[0] & 0x1F != PROFILE_ROSE & 0x1F:
        return []
    found = []
    for tag, contents in _items(octets[1:]):
        items = _items(contents)
        if not items or items[0][0] != 2 or _number(items[0]) is None:
            continue
        identity, second = _number(items[0]), _number(items[1]) if len(items) > 1 else None
        if tag == 0xA1 and second is not None and items[1][0] == 2:
            found.append(("invoke", identity, second, items[2][1] if len(items) > 2 else b""))
        elif tag == 0xA2:
            found.append(("result", identity))
        elif tag == 0xA3 and second is not None:
            found.append(("error", identity, second))
        elif tag == 0xA4 and len(items) > 1:
            found.append(("reject", identity, items[1][1][0] if items[1][1] else 0))
    return found


class Facilities:
    """The half of a Call that has to do with supplementary services: hold by the far end and by us, transfer, malicious call identification."""

    def fail_questions(self, why):
        """Each question to the network that is open has failed: every request of ours gets a confirmation or a failure, and none afterwards."""
        for timer, name in QUESTIONS:
            if self.timers.running(timer):
                self.timers.stop(timer)
                self.event(name, {"why": why})

    # EN 300 141: the far end holds the call and comes back; its B channel stays this call's, so that it can.

    def take_hold(self, now_ms, message):
        if not self.link.config["hold"]:
            self.reject_hold(now_ms, message)
            return
        if not self.held:
            self.held = True
            self.event("hold_indication")
        self.send("HOLD_ACKNOWLEDGE", {})

    def take_retrieve(self, now_ms, message):
        if not self.held:
            self.reject_retrieve(now_ms, message)
            return
        self.held = False
        self.send("RETRIEVE_ACKNOWLEDGE", {"channel_identification": self.link.channel(self.timeslot, True)})
        self.event("retrieve_indication")

    # EN 300 141 and EN 300 196-1 7.1: we hold; the network keeps a B channel for us, and we ask for the same one again.

    def send_hold(self, now_ms, given):
        if self.holding:
            raise LocalError("call %s: is held already, or is being held" % self.identity)
        self.holding = "asking"
        self.send("HOLD", {})
        self.timers.start("THOLD", now_ms)

    def hold_acknowledged(self, now_ms, message):
        if self.holding == "asking":
            self.timers.stop("THOLD")
            self.holding = "held"
            self.event("hold_confirm")

    def hold_rejected(self, now_ms, message):
        if self.holding == "asking":
            self.timers.stop("THOLD")
            self.holding = ""
            self.event("hold_failed", {"why": "the network refuses, cause %d" % (message.get("cause") or {}).get("cause", 0)})

    def hold_timeout(self, now_ms):
        self.holding = ""
        self.event("hold_failed", {"why": "the network did not answer"})

    def send_retrieve(self, now_ms, given):
        if self.holding != "held":
            raise LocalError("call %s: is not held" % self.identity)
        self.holding = "retrieving"
        self.send("RETRIEVE", {"channel_identification": self.link.channel(self.timeslot, True)})
        self.timers.start("TRETRIEVE", now_ms)

    def retrieve_acknowledged(self, now_ms, message):
        if self.holding != "retrieving":
            return None
        self.timers.stop("TRETRIEVE")
        self.holding = ""
        channel = message.get("channel_identification")
        if channel is not None and channel["channels"] and self.link.timeslot_of(channel) != self.timeslot:
            return self.begin_disconnect(now_ms, CHANNEL_UNACCEPTABLE)      # ours was asked for alone
        self.event("retrieve_confirm")
        return None

    def retrieve_rejected(self, now_ms, message):
        if self.holding == "retrieving":
            self.timers.stop("TRETRIEVE")
            self.holding = "held"
            self.event("retrieve_failed", {"why": "the network refuses, cause %d" % (message.get("cause") or {}).get("cause", 0)})

    def retrieve_timeout(self, now_ms):
        self.holding = "held"
        self.event("retrieve_failed", {"why": "the network did not answer"})

    # EN 300 369-1 9.2.

    def ask_ect(self, now_ms, given):
        self.asked_ect = FIRST_ECT if self.asked_ect is None else FIRST_ECT + (self.asked_ect - FIRST_ECT + 1) % 26
        self.send("FACILITY", {"facility": [{"octets": invoke(self.asked_ect, ECT).hex()}]})
        self.timers.start("TECT", now_ms)

    def ect_timeout(self, now_ms):
        self.event("ect_failed", {"why": "the network did not answer"})

    # EN 300 369-1 9.1: the user asks us, the network.

    def link_id(self):
        """The identifier by which a user names this call in explicitEctExecute."""
        return (self.reference << 1 | (1 if self.originating else 0)) & 0x7FFF

    def _asked_to_join(self, now_ms, component):
        _, identity, operation, argument = component
        if self.number != 10 or not self.link.config["hold"]:
            self._refuse_to_join(identity, INVALID_CALL_STATE if self.link.config["hold"] else NOT_AVAILABLE)
        elif operation == ECT_LINK_ID:
            self.send("FACILITY", {"facility": [{"octets": link_result(identity, self.link_id()).hex()}]})
        else:
            others = [other for other in self.link.active_calls() if other is not self and other.held != self.held
                      and (operation == ECT or other.link_id() == int.from_bytes(argument, "big"))]
            if len(others) != 1 or self.joining is not None:
                self._refuse_to_join(identity, INVALID_CALL_STATE)
                return
            self.joining = identity
            self.timers.start("TJOIN", now_ms)
            held, active = (self, others[0]) if self.held else (others[0], self)
            self.event("ect_indication", {"held": held.identity, "active": active.identity})

    def _refuse_to_join(self, identity, number):
        self.link.count("transfers_refused")
        self.send("FACILITY", {"facility": [{"octets": error(identity, number).hex()}]})

    def join_timeout(self, now_ms):
        identity, self.joining = self.joining, None
        self._refuse_to_join(identity, NOT_AVAILABLE)

    def joined(self):
        """Elements of the DISCONNECT by which a call ends that was joined with another one."""
        identity, self.joining = self.joining, None
        return {} if identity is None else {"facility": [{"octets": result(identity).hex()}]}

    # EN 300 130.

    def ask_mcid(self, now_ms, given):
        self.asked_mcid = (self.asked_mcid or 0) % 100 + 1
        self.send("FACILITY", {"facility": [{"octets": invoke(self.asked_mcid, MCID).hex()}]})
        self.timers.start("TMCID", now_ms)

    def mcid_timeout(self, now_ms):
        self.event("mcid_failed", {"why": "the network did not answer"})

    def take_components(self, now_ms, message):
        """Whether a FACILITY was about a service of ours."""
        mine = False
        for value in message.elements.get("facility", []):
            for component in components(bytes.fromhex(value["octets"])):
                mine = self._component(now_ms, component) or mine
        return mine

    def _component(self, now_ms, component):
        if component[0] == "invoke":
            if self.link.side != "network" or self.link.variant != "etsi":
                return False
            if component[2] in (ECT, EXPLICIT_ECT, ECT_LINK_ID):
                self._asked_to_join(now_ms, component)
                return True
            if component[2] != MCID:
                return False
            self.send("FACILITY", {"facility": [{"octets": result(component[1]).hex()}]})
            self.event("mcid_indication")
            return True
        for name, timer, asked in (("mcid", "TMCID", self.asked_mcid), ("ect", "TECT", self.asked_ect)):
            if component[1] == asked and self.timers.running(timer):
                self._answered(name, timer, component)
                return True
        return False

    def _answered(self, name, timer, component):
        self.timers.stop(timer)
        if component[0] == "result":
            self.event(name + "_confirm")
        else:
            self.event(name + "_failed", {"why": ERRORS.get(component[2], "refused (%s %d)" % (component[0], component[2]))})
