"""The part of the switchboard's state that belongs to the desk (core_desk.py): one method for each record kind."""


class DeskFolds:
    """Methods of CoreState: who calls, what agents say that calls were about."""

    def call_customer_asked(self, record, data, call):
        if call is not None:
            call.customer = {}

    def call_customer(self, record, data, call):
        if call is not None:
            call.customer = {"customer": data["customer"], "source": data["source"], "key": data.get("key")}

    def call_disposed(self, record, data, call):
        if record["agent"] is not None:
            agent = self.agent(record["agent"])
            agent.disposed = record["call"]
            if agent.wrapped == record["call"]:
                agent.undone = False

    def agent_wrap_up_waits(self, record, data, call):
        self.agent(record["agent"]).undone = True
        self.timers.cancel("wrap_up", record["agent"])
