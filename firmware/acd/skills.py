"""Skills: what a call needs, what an agent has, and how needs relax while the caller waits.

Both are plain data, {skill: level}.  An agent fits a call if every skill that the call
needs is there at the needed level or above; a call that needs nothing fits everybody.

    fits({"english": 5, "billing": 2}, {"english": 3}) -> True
    relaxed({"english": 3, "vip": 1}, 1) -> {"english": 2}      a need of level 0 is none
    schedule([{"after_s": 30, "less": 1}], 1000) -> [[31000, 1]]
"""

MAX_LEVEL = 10


def fits(has, needs):
    """Whether an agent with `has` may take a call with `needs`."""
    for skill in needs:
        if has.get(skill, 0) < needs[skill]:
            return False
    return True


def relaxed(needs, less):
    """The needs with every level lowered by `less`; what comes to 0 or below is not needed any more."""
    left = {}
    for skill in sorted(needs):
        if needs[skill] > less:
            left[skill] = needs[skill] - less
    return left


def proficiency(has, needs):
    """Sum of the agent's levels in the skills that the call needs; what "most_skilled" compares."""
    total = 0
    for skill in needs:
        total += has.get(skill, 0)
    return total


def key(needs):
    """Needs as a tuple: equal for calls that the same agents fit."""
    return tuple([(skill, needs[skill]) for skill in sorted(needs)])


def schedule(steps, since_ms):
    """Steps of the configuration ({"after_s", "less"}) as [[moment in ms, less than the step before by], ...], in order of time."""
    times = [[since_ms + step["after_s"] * 1000, step["less"]] for step in steps]
    times.sort()
    return times


def step_on(needs, times, now_ms):
    """Carry out the steps that are due.  Returns (the needs now, the steps still to come)."""
    left = []
    for at_ms, less in times:
        if at_ms <= now_ms:
            needs = relaxed(needs, less)
        else:
            left.append([at_ms, less])
    return needs, left if needs else []
