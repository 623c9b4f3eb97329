"""Users as persons: what role they have, and how far it reaches.  Plain data in and out; what each role may do: roles.py."""

FIRST_USER = "admin"        # of webui/users.py: can never be locked out


class Person:
    """name, role (None: none), agent (or None), teams."""

    def __init__(self, name, role, agent=None, teams=()):
        self.name, self.role, self.agent, self.teams = name, role, agent, teams


def person(config, name):
    """The person of a user's name."""
    rows = config.get("users") or []
    for row in rows:
        if row["name"] == name:
            return Person(name, row["role"], row["agent"] or None, row["teams"])
    return Person(name, "admin" if not rows or name == FIRST_USER else None)


def domain(config, who):
    """(agents, queues) as sets; (None, None): all."""
    if who is None or who.role == "admin" or who.role in ("supervisor", "inspector") and "*" in who.teams:
        return None, None
    if who.role == "agent":
        row = next((row for row in config["agents"] if row["name"] == who.agent), None)
        return {who.agent}, {member["queue"] for member in (row or {}).get("queues") or ()}
    agents, queues = set(), set()
    for team in config.get("teams") or ():
        if team["name"] in who.teams:
            agents.update(team["agents"])
            queues.update(team["queues"])
    if who.agent:
        agents.add(who.agent)
    return agents, queues


def reaches(config, who, agents=(), queues=()):
    """Whether some of these agents are in a person's domain; of queues only for who looks after queues."""
    mine, served = domain(config, who)
    return mine is None or any(name in mine for name in agents) or who.role != "agent" and any(name in served for name in queues)
