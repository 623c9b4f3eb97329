"""Settings of users and teams: who may do what.  What schema.py takes into its sections; the rules: control/roles.py."""

from firmware.config.field import Anything, Rows, Section, Text
from firmware.errors import ConfigError

NAME = r"[A-Za-z0-9_.-]{1,32}"
HINT = "use letters, digits, dot, dash and underline, at most 32"
ROLES = ("agent", "supervisor", "inspector", "admin")

TEAM = Section("agents and queues that belong together", {
    "name": Text("the name used in users and thresholds", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default=""),
    "agents": Anything("a list of agents", default=[]),
    "queues": Anything("a list of queues", default=[])})

USER = Section("what a user of the pages, of REST and of the CTI link may do; passwords are set in the pages, not here", {
    "name": Text("the log-in name", pattern=NAME, hint=HINT, required=True),
    "label": Text("what pages show", default=""),
    "role": Text("agent: the own calls and figures; supervisor: the agents, queues and calls of the teams, listening included; inspector: their "
                 "calls and recordings, listening only; admin: everything", choices=ROLES, required=True),
    "agent": Text("the agent that this user is; empty: none", pattern="(%s)?" % NAME, hint=HINT, default=""),
    "teams": Anything("a list of the teams of a supervisor or inspector; [\"*\"]: all agents and queues", default=[])})

PARTS = {"teams": Rows("agents and queues that belong together", TEAM, key="name", most=500),
         "users": Rows("who may do what; while it is empty, whoever can sign in is an admin, afterwards only `admin` and who is named", USER, key="name",
                       most=2000)}


def check(result):
    """ConfigErrors of references.  result: the configuration with every default filled in."""
    errors = []
    agents, queues = {row["name"] for row in result["agents"]}, {row["name"] for row in result["queues"]}
    for i, team in enumerate(result["teams"]):
        for part, known in (("agents", agents), ("queues", queues)):
            if not isinstance(team[part], list):
                errors.append(ConfigError(f"teams[{i}].{part}", f"give a list of {part} in square brackets"))
                continue
            for j, name in enumerate(team[part]):
                if not isinstance(name, str) or name not in known:
                    errors.append(ConfigError(f"teams[{i}].{part}[{j}]", f"{str(name)[:40]!r} is none of the {part}; add it or correct the name"))
    teams, used = {row["name"] for row in result["teams"]} | {"*"}, {}
    for i, user in enumerate(result["users"]):
        if user["agent"] and user["agent"] not in agents:
            errors.append(ConfigError(f"users[{i}].agent", f"there is no agent {user['agent']!r}; add it or choose another"))
        if user["role"] == "agent" and not user["agent"]:
            errors.append(ConfigError(f"users[{i}].agent", "is missing; name the agent that this user is"))
        if user["agent"] and user["agent"] in used:
            errors.append(ConfigError(f"users[{i}].agent", f"agent {user['agent']!r} is user {used[user['agent']]!r} already"))
        used[user["agent"]] = user["name"]
        if not isinstance(user["teams"], list):
            errors.append(ConfigError(f"users[{i}].teams", "give a list of teams in square brackets"))
            continue
        for j, name in enumerate(user["teams"]):
            if not isinstance(name, str) or name not in teams:
                errors.append(ConfigError(f"users[{i}].teams[{j}]", f"{str(name)[:40]!r} is none of the teams; add it or correct the name"))
        if user["role"] in ("supervisor", "inspector") and not user["teams"]:
            errors.append(ConfigError(f"users[{i}].teams", 'is empty; name the teams, or "*" for all'))
    return errors
