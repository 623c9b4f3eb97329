"""Who sits at a line, for its presence (proto/sip/subscriptions.py): the agent's status and state, from the core's records.

An agent who has logged out is closed; on a break: RPID "away", with the reason as note; after a call: "busy"; a call that is up is seen by
the line itself ("on-the-phone").
"""

from firmware.acd.agent import LOGGED_OUT, ON_BREAK, WRAP_UP

CHANGES = ("agent.status", "agent.seated", "agent.unseated", "agent.wrap_up", "agent.idle")


class Presence:
    """The part of SIPLegs that says who sits where.  house: with the switchboard."""

    def _begin_presence(self, house):
        self._core = lambda: house.switchboard.core
        self.endpoint.subscriptions.agent_of = self._agent_of
        self.endpoint.subscriptions.may_name = house.switchboard.may_join

    def _agent_of(self, line):
        """(logged in, RPID activity or None, note), or None where nobody of a queue sits."""
        core = self._core()
        name = core.agent_on(line)
        agent = core.state.agents.get(name) if name is not None else None
        if agent is None:
            return None
        activity = "away" if agent.status == ON_BREAK else "busy" if agent.state == WRAP_UP else None
        note = agent.status.replace("_", " ") + (": " + agent.reason if agent.reason else "")
        return agent.status != LOGGED_OUT, activity, note

    def _presence_changed(self, records, now_ms):
        """Records that are committed: who watches these lines hears of it."""
        for record in records:
            if record["kind"] in CHANGES:
                for line in {self._core().line_of(record["agent"]), record["data"].get("line")} - {None}:
                    self.endpoint.subscriptions.show_presence(line, now_ms)
