"""Spoken values: the table of hard cases, and numbers read back by a parser of its own."""

import datetime
import random

import pytest

from firmware.ivr.phrases import PHRASES, text
from firmware.ivr.spoken import names, weekday
from tests.portability.scenarios import ivr_spoken

SIZES = {"十": 10, "百": 100, "千": 1000}
WORDS = {word: value for value, word in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split())}
WORDS.update({word: 10 * value for value, word in enumerate("x x twenty thirty forty fifty sixty seventy eighty ninety".split()) if value > 1})
GROUPS = {"thousand": 10 ** 3, "million": 10 ** 6, "billion": 10 ** 9, "trillion": 10 ** 12}


def read_zh(said):
    """The value of a Putonghua numeral, by the sizes of its places."""
    if "亿" in said:
        high, _, low = said.partition("亿") if said.count("亿") == 1 else said.rpartition("亿")
        return read_zh(high) * 10 ** 8 + read_zh(low)
    if "万" in said:
        high, _, low = said.partition("万")
        return read_zh(high) * 10 ** 4 + read_zh(low)
    total, digit = 0, None
    for character in said:
        if character in SIZES:
            total += (1 if digit is None else digit) * SIZES[character]
            digit = None
        else:
            value = "零一二三四五六七八九".find("二" if character == "两" else character)
            assert value >= 0, said
            digit = value or None
    return total + (digit or 0)


def read_en(said):
    total = group = 0
    for word in said.split():
        if word == "hundred":
            group *= 100
        elif word in GROUPS:
            total, group = total + group * GROUPS[word], 0
        elif word != "and":
            group += WORDS[word]
    return total + group


@pytest.mark.parametrize("name", ("vectors", "wrong"))
def test_scenario(name):
    getattr(ivr_spoken, name)()


def test_numbers_say_what_they_are():
    draw = random.Random(7)
    values = list(range(0, 2200, 3)) + [draw.randrange(10 ** draw.randrange(1, 16)) for _ in range(500)]
    values += [int("".join(draw.choice("0012") for _ in range(draw.randrange(5, 15)))) for _ in range(700)]
    for value in values:
        zh, en = (text(names({"number": value}, language), language) for language in ("zh_CN", "en"))
        assert read_zh(zh) == value, (value, zh)
        assert read_en(en) == value, (value, en)
        assert "零零" not in zh and not (value and zh.endswith("零")) and "两十" not in zh and "两百" not in zh, (value, zh)


def test_days_of_the_week():
    day = datetime.date(1999, 12, 25)
    for _ in range(900):
        assert weekday(day.year, day.month, day.day) == day.isoweekday(), day
        day += datetime.timedelta(days=17)


def test_every_fragment_that_is_used_has_a_text():
    for item, _, _ in ivr_spoken.VECTORS:
        for language in ("zh_CN", "en"):
            assert [name for name in names(item, language) if name not in PHRASES[language]] == []
