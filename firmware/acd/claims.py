"""Which ready agents are not needed for callers who are being dialled: a matching of claims to agents.

A caller who is called back claims one ready agent, any of those who serve that queue and have the skills.  Agents serve
several queues, so claims of different queues may rest on the same agents.  An agent is spare where all claims that could be
kept before can still be kept without that agent.  That is so if the agent is left over in some largest matching, so if an
alternating path leads to the agent from one that is left over (Dulmage and Mendelsohn 1958; paths as in Berge 1957).

Claims that are alike are counted, and so are agents who are in the same claims (a "kind" of agents: the claims' numbers), so
that hundreds of callers of one campaign and their agents cost what one does.

    spare([{"1001", "1002"}, {"1002"}], ["1001", "1002", "1003"]) -> {"1003": True}
"""


def alike(claims, agents):
    """{kind: [agents]} of agents who are in the same claims."""
    found = {}
    for name in agents:
        found.setdefault(tuple([index for index in range(len(claims)) if name in claims[index]]), []).append(name)
    return found


def matching(counts, kinds):
    """A largest matching: ([{kind: how many of its agents}] by claim, {kind: how many are left over}).

    counts: how often each claim is made; kinds: {kind: how many agents}."""
    held, left = [{} for _ in counts], dict(kinds)
    wants = [sorted([kind for kind in kinds if index in kind]) for index in range(len(counts))]
    for index in range(len(counts)):
        lacks = counts[index]
        while lacks:
            got = _keep(wants, held, left, index, lacks)
            if not got:
                break
            lacks -= got
    return held, left


def _keep(wants, held, left, claim, lacks):
    """Give a claim agents of one kind; others move if need be.  Breadth first, so that no depth of calls is needed.  Returns how many."""
    came_from, gives_up, look = {}, {claim: None}, [claim]      # kind: the claim that wants it; claim: the kind that it gives up
    for wanting in look:
        for kind in wants[wanting]:
            if kind in came_from:
                continue
            came_from[kind] = wanting
            if left[kind]:
                return _move(came_from, gives_up, held, left, claim, kind, lacks)
            for other in kind:
                if held[other].get(kind) and other not in gives_up:
                    gives_up[other] = kind
                    look.append(other)
    return 0


def _move(came_from, gives_up, held, left, claim, kind, most):
    """Back along the path: each claim takes the kind that it wanted, and gives one up."""
    path, many = [], min(most, left[kind])
    while True:
        wanting = came_from[kind]
        former = gives_up[wanting]
        path.append((wanting, kind, former))
        if wanting == claim:
            break
        many = min(many, held[wanting][former])
        kind = former
    left[path[0][1]] -= many
    for wanting, kind, former in path:
        held[wanting][kind] = held[wanting].get(kind, 0) + many
        if wanting != claim:
            held[wanting][former] -= many
    return many


def spare(claims, agents, counts=None):
    """{agent: True} of the agents whom no claim needs.  claims: [collection of agents]; agents: all that are ready; counts: how often each claim is made, None: once."""
    kinds = alike(claims, agents)
    held, left = matching(counts or [1] * len(claims), dict([(kind, len(kinds[kind])) for kind in kinds]))
    look = [kind for kind in left if left[kind]]
    free = dict([(kind, True) for kind in look])
    for kind in look:
        for index in kind:              # the claim could take one that is left over: its own are free then
            for other in held[index]:
                if held[index][other] and other not in free:
                    free[other] = True
                    look.append(other)
    return dict([(name, True) for kind in free for name in kinds[kind]])
