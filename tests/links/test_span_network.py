"""A transfer by the network that a RELEASE refuses: the call is over before its failure is told.  ETS 300 369-1."""

from types import SimpleNamespace

import pytest

from firmware.links.span import SpanLinks


class Links(SpanLinks):
    """Those of one span; what they ask and tell is kept."""

    def __init__(self):
        self.told, self.asked = [], []
        self.turns = SimpleNamespace(post=self.told.append)

    def _touch(self, span, call=None):
        pass

    def _request(self, span, primitive, call, now_ms, **more):
        self.asked.append((primitive, call))


@pytest.mark.parametrize("state, asked", ((None, []), ({"state": "U10_ACTIVE", "holding": "held"}, [("retrieve_request", 7)]), ({"state": "U10_ACTIVE", "holding": None}, [])))
def test_a_release_that_refuses_a_transfer_touches_no_call_that_is_over(state, asked):
    links = Links()
    span = SimpleNamespace(number=1, machine=SimpleNamespace(call_state=lambda call: state), calls={7: {"leg": "l7", "joins": 8}})
    links._on_ect_failed(span, {"call": 7, "why": "not available"}, 0)
    assert links.told == [{"kind": "leg.network", "leg": "l7", "verb": "transfer", "outcome": "failed", "why": "not available"}]
    assert links.asked == asked and span.calls[7]["joins"] is None
    assert links._is_active(span, 7) == (state is not None)
