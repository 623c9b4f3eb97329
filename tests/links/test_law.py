"""The law of a span's sound: that of its kind of line, unless the configuration says another (J1 with A-law, an E1 of a mu-law country)."""

import pytest

from firmware.call.trunk_group import law_of
from firmware.config import schema
from firmware.links.pri_span import law_for
from firmware.links.ss7_point import Point, basis


@pytest.mark.parametrize("row, law", [({"type": "e1"}, "A"), ({"type": "t1"}, "U"), ({"type": "j1", "law": "line"}, "U"), ({"type": "e1", "law": "u"}, "U"), ({"type": "t1", "law": "a"}, "A")])
def test_of_a_span(row, law):
    assert law_of(row) == law and law_for(row, "speech") == law and law_for(row, "unrestricted_digital") == "clear"


@pytest.mark.parametrize("row, said, law", [({"type": "e1"}, "U", "U"), ({"type": "e1", "law": "line"}, "A", "A"), ({"type": "e1", "law": "u"}, "A", "U"), ({"type": "t1", "law": "a"}, "U", "A")])
def test_of_a_call_in(row, said, law):
    """A SETUP names its law; a far end that does not know the line's says that of the kind of line, so what is configured stands above it."""
    assert law_for(row, "speech", said) == law and law_for(row, "unrestricted_digital", said) == "clear"


def test_a_point_tells_it_in_its_iam_and_begins_anew_when_it_changes():
    """User service information says mu-law; without the setting a point is made of what it always was, so that an update restarts none."""
    def config(**more):
        ends = {"name": "p", "variant": "itu", "point_code": "0-12-4", "linksets": [{"name": "a", "adjacent": "0-25-0", "links": [{"span": 1, "timeslot": 16, "slc": 0}]}],
                "circuit_groups": [{"name": "g", "destination": "0-25-0", "circuits": [{"cic": 1, "span": 1, "timeslot": 1, "count": 15}]}]}
        result, errors = schema.check({"spans": [{"span": 1, "signalling": "ss7", "crc4": False, "trunk_group": "t", **more}], "trunk_groups": [{"name": "t"}], "ss7": [ends]})
        assert not errors, errors
        return result
    usual, other = (basis(each["ss7"][0], each) for each in (config(), config(law="u")))
    assert "laws" not in usual and usual != other
    for made_of, law in ((usual, "A"), (other, "u")):
        point = Point(made_of, {})
        assert point.laws == {1: law.upper()} and [group["law"] for group in point.isup.groups.values()] == [law]
