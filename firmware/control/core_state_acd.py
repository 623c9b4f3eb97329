"""The part of the switchboard's state that follows queues and agents: one method for each record kind (core_state.py)."""

from firmware.acd import agent as agents
from firmware.call import call as calls

# Invented: how many callers' last agents are remembered.
REMEMBERED = 5000
# Invented: callers of the day whose agent is known, over the queues that share customers out evenly.
CUSTOMERS = 20000


class AcdFolds:
    """Methods of CoreState: records of queues, agents and lines."""

    def queue_entered(self, record, data, call):
        if call is not None:
            self.order = max(self.order, data["order"])
            call.state = calls.QUEUED
            call.waited = True
            call.queue = record["queue"]
            call.queue_entered_ms = record["ts_ms"]
            call.overdue = False
            call.result = None
            call.overflow = data["overflow"]
            call.since_ms = data.get("since_ms", record["ts_ms"])
            call.priority = data["priority"]
            call.given = data.get("given")
            call.skills, call.relax = data.get("skills") or {}, data.get("relax") or []
            self.queue(call.queue).enter(call.id, data["priority"], call.since_ms, data["order"])
            call.tiers = data.get("tiers")
            self.timers.set("tier", call.id, call.tiers[0][0] if call.tiers else None)
            call.reserved = data.get("reserved")
            self.timers.set("reserve", call.id, call.reserved[1] if call.reserved else None)
            call.entry_load = data.get("load")
            if data.get("talked_ms") is not None:
                call.talked = [data["talked_ms"], call.queue]
            elif call.since_ms == record["ts_ms"]:
                call.talked = None
            self.timers.set("wait", call.id, data["max_wait_until_ms"])
            self.timers.set("overflow", call.id, data.get("overflow_at_ms"))
            self.timers.set("relax", call.id, call.relax[0][0] if call.relax else None)
            self.timers.set("announce", call.id, data["announce_at_ms"])
            self._comfort(call, data.get("comfort") or [])

    def _comfort(self, call, plan):
        call.comfort = plan
        self.timers.set("comfort", call.id, plan[0][0] if plan else None)

    def queue_comforted(self, record, data, call):
        if call is not None:
            self._comfort(call, data["comfort"])

    def queue_relaxed(self, record, data, call):
        if call is not None:
            call.skills, call.relax = data["skills"], data["relax"]
            self.timers.set("relax", call.id, call.relax[0][0] if call.relax else None)

    def queue_tiers(self, record, data, call):
        if call is not None:
            call.tiers = data["tiers"]
            self.timers.set("tier", call.id, call.tiers[0][0] if call.tiers else None)

    def queue_owner(self, record, data, call):
        if call is not None:
            call.given = dict(call.given or {}, agent=data["owner"]) if data["owner"] else call.given
            call.reserved = data["reserved"]
            self.timers.set("reserve", call.id, call.reserved[1] if call.reserved else None)

    def queue_unreserved(self, record, data, call):
        self.timers.cancel("reserve", record["call"])
        if call is not None:
            call.reserved = None

    def queue_overflow_at(self, record, data, call):
        self.timers.set("overflow", record["call"], data["at_ms"])

    def queue_refused(self, record, data, call):
        if call is not None:
            self._hop(call, record)

    def _hop(self, call, record):
        """Count the overflows of one moment: those that lead to each other take no time."""
        call.hops = (call.hops or 0) + 1 if call.hops_ms == record["ts_ms"] else 1
        call.hops_ms = record["ts_ms"]

    def queue_announced(self, record, data, call):
        self.timers.set("announce", record["call"], data["announce_at_ms"])

    def queue_overdue(self, record, data, call):
        self.timers.cancel("wait", record["call"])
        if call is not None:
            call.overdue = True

    def queue_left(self, record, data, call):
        queue = self.queue(record["queue"])
        queue.leave(record["call"])
        if call is not None and call.entry_load is not None and data["reason"] == "answered":
            self.pace(record["queue"]).answered(call.entry_load, data["wait_ms"])
        if call is not None and data["reason"] == "overflow":
            call.result = "overflow"
            self._hop(call, record)
        for kind in ("wait", "announce", "comfort", "overflow", "relax", "tier", "reserve"):
            self.timers.cancel(kind, record["call"])

    def announcement_switched(self, record, data, call):
        if data["on"]:
            self.announcements[data["name"]] = {"since_ms": record["ts_ms"], "by": data["by"]}
        else:
            self.announcements.pop(data["name"], None)

    def agent_status(self, record, data, call):
        agent = self.agent(record["agent"])
        if data["status"] == agents.AVAILABLE and agent.status != agents.AVAILABLE:
            self._newly_idle(agent, record)
        if data["status"] == agents.AVAILABLE:
            agent.missed = 0
            self._rested(agent)
        agent.status = data["status"]
        agent.reason = data["reason"]
        agent.locked = bool(data.get("locked"))
        agent.status_known = True
        if agent.state == agents.IDLE:
            agent.since_ms = record["ts_ms"]

    def _rested(self, agent):
        agent.rests = False
        self.timers.cancel("rest", agent.name)

    def agent_rested(self, record, data, call):
        self._rested(self.agent(record["agent"]))

    def agent_assigned(self, record, data, call):
        if data["queues"] is None:
            self.assigned.pop(record["agent"], None)
        else:
            self.assigned[record["agent"]] = [dict(row) for row in data["queues"]]

    def agent_seated(self, record, data, call):
        agent = self.agent(record["agent"])
        self.agent_unseated(record, data, call)
        agent.seat = data["line"]
        self.seats[data["line"]] = agent.name

    def agent_unseated(self, record, data, call):
        agent = self.agent(record["agent"])
        if self.seats.get(agent.seat) == agent.name:
            del self.seats[agent.seat]
        agent.seat = None

    def _agent_state(self, record, state):
        agent = self.agent(record["agent"])
        agent.state = state
        agent.since_ms = record["ts_ms"]
        agent.call = record["call"]
        agent.queue = record["queue"]
        self.timers.cancel("wrap_up", agent.name)
        return agent

    def _newly_idle(self, agent, record):
        self.order += 1
        agent.idle_since_ms = record["ts_ms"]
        agent.idle_order = self.order

    def agent_offered(self, record, data, call):
        self._agent_state(record, agents.OFFERED)
        self.turns[record["queue"]] = record["agent"]
        if call is not None:
            call.offers = call.offers + [{"agent": record["agent"], "leg": record["leg"]}]
        self.timers.set("offer", record["leg"], data["deadline_ms"])

    def agent_offer_ended(self, record, data, call):
        agent = self._agent_state(record, agents.IDLE)
        agent.call = agent.queue = None
        agent.missed = data.get("missed", agent.missed)
        if data.get("rest_until_ms") is not None:
            agent.rests = True
            self.timers.set("rest", agent.name, data["rest_until_ms"])
            self._newly_idle(agent, record)
        if call is not None:
            call.offers = [offer for offer in call.offers if offer["agent"] != record["agent"]]
        self.timers.cancel("offer", record["leg"])

    def agent_busy(self, record, data, call):
        self._agent_state(record, data["state"])

    def agent_connected(self, record, data, call):
        self._agent_state(record, agents.TALKING).missed = 0
        self.timers.cancel("offer", record["leg"])
        if call is not None:
            call.offers = []
            if data.get("customer") is not None:
                self._customer(record["agent"], *data["customer"])
            if data.get("share") is not None:
                share = self.shares.setdefault(record["queue"], {"at": 0, "passes": {}})
                share["at"], share["passes"][record["agent"]] = data["share"]
            if data.get("remember"):
                self.last_agents.pop(call.caller, None)
                self.last_agents[call.caller] = [record["agent"], record["ts_ms"]]
                if len(self.last_agents) > REMEMBERED:
                    del self.last_agents[next(iter(self.last_agents))]

    def _customer(self, agent, day, customer):
        """Whose customer a caller of the day is: the agent's who talked last with the caller."""
        if day != self.customer_day:
            self.customer_day, self.customers, self.customer_counts = day, {}, {}
        before = self.customers.pop(customer, None)
        if before is not None:
            self.customer_counts[before] -= 1
        self.customers[customer] = agent
        self.customer_counts[agent] = self.customer_counts.get(agent, 0) + 1
        if len(self.customers) > CUSTOMERS:
            del self.customers[next(iter(self.customers))]      # still counted; would only be counted again

    def agent_wrap_up(self, record, data, call):
        agent = self._agent_state(record, agents.WRAP_UP)
        agent.wrapped = record["call"]
        agent.extended = 0
        agent.undone = data["deadline_ms"] is None
        agent.call = None
        self.timers.set("wrap_up", agent.name, data["deadline_ms"])

    def agent_wrap_up_extended(self, record, data, call):
        agent = self.agent(record["agent"])
        agent.extended += 1
        self.timers.set("wrap_up", agent.name, data["deadline_ms"])

    def agent_idle(self, record, data, call):
        agent = self._agent_state(record, agents.IDLE)
        agent.call = agent.queue = agent.wrapped = None
        agent.undone = False
        if data["reset"]:
            self._newly_idle(agent, record)

    def line_registered(self, record, data, call):
        self.lines[data["line"]] = True

    def line_unregistered(self, record, data, call):
        self.lines[data["line"]] = False
