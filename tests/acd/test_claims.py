"""Who may be taken while callers are being called back: beside a search through all ways of sharing the agents out."""

import itertools
import random

from firmware.acd.claims import matching, spare


def most(claims, agents):
    """How many claims can be kept, by trying all."""
    if not claims:
        return 0
    best = most(claims[1:], agents)
    for agent in claims[0]:
        if agent in agents:
            best = max(best, 1 + most(claims[1:], agents - {agent}))
    return best


def test_as_a_search_through_everything_says():
    dice = random.Random(5)
    for _ in range(600):
        agents = ["a%d" % n for n in range(dice.randrange(1, 6))]
        claims = [set(dice.sample(agents, dice.randrange(0, len(agents) + 1))) for _ in range(dice.randrange(0, 5))]
        best = most(claims, set(agents))
        taken = matching(claims)
        assert len(taken) == best and all(agent in claims[index] for agent, index in taken.items())
        assert sorted(spare(claims, agents)) == [agent for agent in agents if most(claims, set(agents) - {agent}) == best], (claims, agents)


def test_a_long_chain_needs_no_deep_calls():
    claims = [{"a%d" % n, "a%d" % (n + 1)} for n in range(800)]
    agents = sorted(set(itertools.chain(*claims)))
    assert len(spare(claims, agents)) == 801 and len(spare(claims + [{"a0"}], agents)) == 0
