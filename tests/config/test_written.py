"""Numbers as people paste them."""

import pytest

from firmware.config import schema
from firmware.config.written import dialable


@pytest.mark.parametrize("written, read", [
    ("02150801000", "02150801000"), ("021 5080 1000", "02150801000"), ("(021) 5080-1000", "02150801000"), ("（０２１）５０８０－１０００", "02150801000"),
    ("＋８６\u3000139\u00a01234\u20115678", "+8613912345678"), ("\u202a139\u20131234\u20145678\u202c\n", "13912345678"), ("９０．", "90."), ("＊７２＃", "*72#"),
    ("٠٢١", "021"), ("013xxxxxxxxx", "013xxxxxxxxx"), ("", ""), ("  ", ""), ("sales", "sales"), ("1001a", "1001a"), ("销售", "销售")])
def test_what_is_for_the_eye_only_is_taken_away(written, read):
    assert dialable(written) == read and dialable(read) == read


def test_settings_that_are_numbers_are_kept_without_it():
    """Wherever a configuration comes from; what is no number is refused with the words that were written."""
    errors = []
    row = schema.SCHEMA.fields["routes"].row.check({"number": "９０ .", "choices": [{"trunk_group": "carrier", "prefix": "+86 "}]}, "routes[0]", errors)
    assert not errors and (row["number"], row["choices"][0]["prefix"]) == ("90.", "+86")
    assert schema.SCHEMA.fields["numbers"].row.check({"number": "(021) 5080-1000", "application": "queue", "target": "sales"}, "", errors)["number"] == "02150801000"
    schema.SCHEMA.fields["numbers"].row.check({"number": "021/5080", "application": "queue", "target": "sales"}, "numbers[0]", errors)
    assert [error.path for error in errors] == ["numbers[0].number"]
