"""Which ready agents are not needed for callers who are being dialled: a matching of claims to agents.

A caller who is called back claims one ready agent, any of those who serve that queue and have the skills.  Agents serve
several queues, so claims of different queues may rest on the same agents.  An agent is spare where all claims that could be
kept before can still be kept without that agent.  That is so if the agent is left over in some largest matching, so if an
alternating path leads to the agent from one that is left over (Dulmage and Mendelsohn 1958; paths as in Berge 1957).

    spare([{"1001", "1002"}, {"1002"}], ["1001", "1002", "1003"]) -> {"1003": True}
"""


def matching(claims):
    """{agent: index of the claim} of a largest matching.  claims: [collection of agents]."""
    taken = {}
    for index in range(len(claims)):
        _keep(claims, index, taken)
    return taken


def _keep(claims, index, taken):
    """Give a claim an agent; others move if need be.  Breadth first, so that no depth of calls is needed."""
    came_from, look = {}, [index]       # agent: the claim that wants that agent
    while look:
        claim = look.pop(0)
        for agent in sorted(claims[claim]):
            if agent in came_from:
                continue
            came_from[agent] = claim
            if agent not in taken:
                while True:             # back along the path: each claim takes the agent that it wanted
                    claim = came_from[agent]
                    former = [name for name in taken if taken[name] == claim]
                    taken[agent] = claim
                    if claim == index:
                        return
                    agent = former[0]
                    del taken[agent]
            look.append(taken[agent])


def spare(claims, agents):
    """{agent: True} of the agents whom no claim needs.  claims: [collection of agents]; agents: all that are ready."""
    taken = matching(claims)
    wanted_by = {}                      # agent: claims that could rest on that agent
    for index in range(len(claims)):
        for agent in claims[index]:
            wanted_by.setdefault(agent, []).append(index)
    holds = dict([(taken[agent], agent) for agent in taken])
    found = dict([(agent, True) for agent in agents if agent not in taken])
    look = list(found)
    while look:
        for index in wanted_by.get(look.pop()) or ():
            agent = holds.get(index)    # the claim could take the one that is left over: its own is free then
            if agent is not None and agent not in found:
                found[agent] = True
                look.append(agent)
    return found
