"""Who may be taken while callers are being called back: beside a search through all ways of sharing the agents out."""

import itertools
import random

from firmware.acd.claims import alike, matching, spare


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
        kinds = {kind: len(names) for kind, names in alike(claims, agents).items()}
        held, left = matching([1] * len(claims), kinds)
        assert sum(sum(row.values()) for row in held) == best and all(index in kind for index, row in enumerate(held) for kind in row if row[kind])
        assert all(sum(row.get(kind, 0) for row in held) + left[kind] == kinds[kind] and left[kind] >= 0 for kind in kinds)
        assert sorted(spare(claims, agents)) == [agent for agent in agents if most(claims, set(agents) - {agent}) == best], (claims, agents)


def test_a_long_chain_needs_no_deep_calls():
    claims = [{"a%d" % n, "a%d" % (n + 1)} for n in range(800)]
    agents = sorted(set(itertools.chain(*claims)))
    assert len(spare(claims, agents)) == 801 and len(spare(claims + [{"a0"}], agents)) == 0


def test_claims_that_are_alike_are_counted():
    dice = random.Random(6)
    for _ in range(600):
        agents = ["a%d" % n for n in range(dice.randrange(1, 6))]
        claims = [set(dice.sample(agents, dice.randrange(0, len(agents) + 1))) for _ in range(dice.randrange(0, 4))]
        counts = [dice.randrange(1, 4) for _ in claims]
        each = [claim for claim, count in zip(claims, counts) for _ in range(count)]
        assert sorted(spare(claims, agents, counts)) == sorted(spare(each, agents)), (claims, counts)


def test_a_thousand_callers_of_one_queue_are_one_claim():
    """Counted as steps, not as time: what is looked at does not grow with callers and agents."""
    agents = ["a%d" % n for n in range(1000)]
    claim = dict.fromkeys(agents, True)
    held, left = matching([999], {kind: len(names) for kind, names in alike([claim], agents).items()})
    assert held == [{(0,): 999}] and left == {(0,): 1}
    assert len(spare([claim], agents, [999])) == 1000 and spare([claim], agents, [1000]) == {}
