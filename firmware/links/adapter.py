"""What the turn and the house ask of every adapter; the answers of one that has nothing to say.

An adapter joins one kind of outside (PRI spans, SIP, the framers, CTI) to the switchboard.
control/turns.py says when each method is called.
"""


def tell_restarted(turns, places, by):
    """For the history of the timeslots (control/timeslots.py).  places: [(span, timeslot)]; by: "in", the far end restarted them, or "out", we."""
    for span in sorted({span for span, _ in places}):
        turns.post({"kind": "command.desk", "record": "timeslots.restarted",
                    "data": {"span": span, "timeslots": sorted(timeslot for other, timeslot in places if other == span), "by": by}})


class Adapter:
    """Base of the adapters.  name: for the log."""

    name = "adapter"

    # legs and links
    def creates(self, action):
        """Whether a leg.create is for us."""
        return False

    def owns(self, leg):
        """Whether a leg is ours."""
        return False

    def owns_link(self, link):
        """Whether a signalling link is ours."""
        return False

    def carry_out(self, action, now_ms):
        """One action of the switchboard for a leg of ours."""

    def signalling(self, message, now_ms):
        """One message of layer 2 of a link of ours."""

    def drop(self, leg, now_ms):
        """Handling of this leg failed: let go of it; the turn tells the switchboard."""

    # the turn
    def turned(self):
        """A turn is over; others may follow before the commit."""

    def dirty(self):
        """Whether save() has something to write."""
        return False

    def save(self, stores):
        """Write (inside the transaction)."""

    def saved(self):
        """The transaction is committed."""

    def flush(self):
        """Let output out."""

    def holds_output(self):
        """Whether some of the outbox could not be handed over."""
        return False

    def deadline_ms(self):
        """When expire() is wanted, or None."""
        return None

    def expire(self, now_ms):
        """Timers that are due."""

    # life
    def resume(self, now_ms):
        """In the first turn, before the switchboard is resumed."""

    def live_legs(self):
        """{leg: {"state": "setup"|"alerting"|"answered"|"releasing"}}."""
        return {}

    def media_found(self, audit, now_ms):
        """Media is there; make good what it lacks, and add that to the audit."""

    def media_lost(self, now_ms):
        """Media is gone."""

    def board(self, event, now_ms):
        """The board came or went."""

    def configure(self, config, now_ms):
        """A new configuration is in force."""

    def committed(self, records):
        """Records that have just been committed."""

    def trunk_faults(self):
        """{name of a trunk over IP: ("down" | "part", sentence)} of those that are not whole."""
        return {}

    def trunk_names(self):
        """Names of all trunks over IP, as a set."""
        return set()

    def describe(self, state, legs):
        """Add to GET /v1/state.  legs: {leg: call}."""

    def start(self):
        """Begin to listen, in the running loop."""

    def stop(self):
        """End; no call is touched."""


class Nobody(Adapter):
    """Answers for legs that no adapter has: a release of such a leg is done at once."""

    name = "nobody"

    def __init__(self, turns):
        self._turns = turns

    def carry_out(self, action, now_ms):
        """leg.release, leg.create of an unknown technology: the leg is gone."""
        if action["do"] in ("leg.release", "leg.create"):
            self._turns.post({"kind": "leg.released", "leg": action["leg"], "by": "failure",
                              "cause": action.get("cause", 41)})
