"""What the refusal of our re-INVITE to T.38 means."""

from types import SimpleNamespace

import pytest

from firmware.links.sip_fax import SIPFax


class Legs(SIPFax):
    """One leg whose fax was asked for."""

    def __init__(self):
        self.legs = {"l1": {"fax": "asked", "far": {}}}
        self.told, self.sound = [], []
        self.turns = SimpleNamespace(post=self.told.append)
        self.media = SimpleNamespace(command=lambda verb, **given: self.sound.append(given["id"]))

    def _set(self, leg, **more):
        self.legs[leg].update(more)


@pytest.mark.parametrize("status, fax", ((491, None), (488, "refused"), (415, "refused")))
def test_a_hold_that_crossed_our_offer_is_no_refusal(status, fax):
    legs = Legs()
    legs._fax_refused("l1", status, 0)
    assert legs.legs["l1"]["fax"] == fax
    assert ([row["state"] for row in legs.told], legs.sound) == (([], []) if fax is None else (["refused"], ["l1"]))
