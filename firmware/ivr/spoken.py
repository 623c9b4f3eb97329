"""Spoken values: numbers, money, dates, times and the rest as names of prompt fragments (ivr/phrases.py).

    names({"money": "102.50"}, "zh_CN") -> ["number_1", "number_hundred", "number_0", "number_2", "money_cny", "number_5", "jiao"]

An item has one of these keys, the value as a number or as text:

    number     whole or decimal, also negative
    digits     each digit for itself;  telephone: the same, Putonghua with 幺 for 1
    spelled    letters, digits and signs one after the other
    ordinal    a place in an order: 第二, second (English up to 31, then the number)
    percent    a share in hundredths
    money      an amount; currency? (CNY)
    count      a number of things; unit: a key of phrases.UNITS
    date       "2026-01-05", also with a time behind it; weekday?: true says it too; year?: false leaves it out
    time       "14:05" or behind a date; clock?: 24 (12, with the part of the day)
    duration   seconds, as hours, minutes and seconds

Putonghua: 两 for a two that leads 千, 万, 亿, a measure word, 元 or 点 of the clock, 二 everywhere else (二百, 二十, 第二,
二点五, 一万二千); one 零 for any number of zeros between two figures, none at the end of a group of four or before a
full 千 of the next one (三十万五千); 十 without 一 only where it leads.  Sources: GB/T 15835-2011; Lü Shuxiang,
Xiandai Hanyu Babai Ci, entries 二 and 两.  English: "and" after hundreds and before a last part below a hundred.

Raises LocalError with a sentence on what cannot be said.
"""

from firmware.errors import LocalError
from firmware.ivr.phrases import CURRENCIES, LETTERS, SYMBOLS, UNITS

LARGEST = 10 ** 16              # above, a number is read digit by digit: 亿亿 and "quadrillion" help nobody
LONGEST = 64                    # characters of digits and spelled values; invented
KINDS = ("number", "digits", "telephone", "spelled", "ordinal", "percent", "money", "count", "date", "time", "duration")


def kind_of(item):
    """Which of KINDS an item says, or None."""
    for kind in KINDS:
        if kind in item:
            return kind
    return None


def names(item, language):
    """Names of the fragments that say an item in a language."""
    kind = kind_of(item)
    if kind is None:
        raise LocalError("nothing to say: the item has none of " + ", ".join(KINDS))
    chinese = language.startswith("zh")
    value = item[kind]
    if kind in ("digits", "telephone"):
        return _digits(_text(value, kind), chinese and kind == "telephone")
    if kind == "spelled":
        return _spelled(_text(value, kind))
    if kind == "date":
        return (_date_zh if chinese else _date_en)(_date(value), bool(item.get("weekday")), item.get("year") is not False)
    if kind == "time":
        return (_time_zh if chinese else _time_en)(_time(value), str(item.get("clock", 12)) == "24")
    if kind == "money":
        return _money(_decimal(value, kind), item.get("currency") or "CNY", chinese)
    if kind == "duration":
        return _duration(_decimal(value, kind), chinese)
    sign, whole, part = _decimal(value, kind)
    if kind == "count":
        return _count(sign, whole, part, item.get("unit") or "piece", chinese)
    if kind == "ordinal":
        if sign or part:
            raise LocalError("%r is no place in an order" % (value,))
        if chinese:
            return ["number_th"] + cardinal_zh(whole, alone="number_2")
        return ["ordinal_%d" % int(whole)] if 1 <= int(whole) <= 31 else cardinal_en(whole)
    said = _number(sign, whole, part, chinese)
    if kind == "percent":
        return (["number_minus"] if sign else []) + ["number_percent"] + _number("", whole, part, True) if chinese else said + ["number_percent"]
    return said


# Reading what is given.

def _text(value, kind):
    given = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not given or len(given) > LONGEST:
        raise LocalError("%r cannot be said as %s; give 1 to %d characters" % (value if len(str(value)) < 80 else "...", kind, LONGEST))
    return given


def _decimal(value, kind):
    """(sign "" or "-", digits before the point without leading zeros, digits behind it or "")."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise LocalError("%r is no number; it cannot be said as %s" % (value, kind))
    given = value.strip() if isinstance(value, str) else _plain(value)
    sign = "-" if given[:1] == "-" else ""
    body = given[1:] if given[:1] in ("-", "+") else given
    whole, point, part = body.partition(".")
    whole = whole.replace(",", "")
    if not (_is_digits(whole) or not whole and part) or (point and part and not _is_digits(part)) or (point and not part) or len(body) > LONGEST:
        raise LocalError("%r is no number; it cannot be said as %s" % (given[:LONGEST], kind))
    whole = whole.lstrip("0") or "0"
    if whole == "0" and not part.strip("0"):
        sign = ""
    return sign, whole, part


def _plain(value):
    """A number as text without an exponent; floats with at most six places, which a caller can follow."""
    if isinstance(value, int):
        return str(value)
    if value != value or value - value != 0:
        return "?"
    given = "%.6f" % value
    return given.rstrip("0").rstrip(".")


def _is_digits(given):
    if not given:
        return False
    for character in given:
        if character not in "0123456789":
            return False
    return True


def _date(value):
    """(year, month, day) of "2026-01-05...", "20260105"."""
    given = str(value)[:10]
    if len(given) == 8 and _is_digits(given):
        given = given[:4] + "-" + given[4:6] + "-" + given[6:]
    parts = given.replace("/", "-").split("-")
    if len(parts) != 3 or len(parts[0]) != 4 or False in [_is_digits(part) and len(part) <= 4 for part in parts]:
        raise LocalError("%r is no date; give it as 2026-01-05" % (str(value)[:40],))
    year, month, day = [int(part) for part in parts]
    if not 1 <= month <= 12 or not 1 <= day <= days_of(year, month) or year < 1:
        raise LocalError("there is no day %r" % (given,))
    return year, month, day


def days_of(year, month):
    """How many days a month has (Gregorian)."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def weekday(year, month, day):
    """1 Monday to 7 Sunday (Gregorian; by the number of days since 0000-03-01, a Wednesday)."""
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 1
    return (days + 2) % 7 + 1


def _time(value):
    """(hour, minute) of "14:05", "14:05:59", "2026-01-05T14:05", "1405"."""
    given = str(value).strip()
    for mark in ("T", " "):
        if mark in given:
            given = given.split(mark)[-1]
    if len(given) == 4 and _is_digits(given):
        given = given[:2] + ":" + given[2:]
    parts = given.split(":")
    if len(parts) not in (2, 3) or not _is_digits(parts[0]) or not _is_digits(parts[1]) or len(parts[0]) > 2 or len(parts[1]) != 2:
        raise LocalError("%r is no time of the day; give it as 14:05" % (str(value)[:40],))
    hour, minute = int(parts[0]), int(parts[1])
    if hour > 23 or minute > 59:
        raise LocalError("there is no time %r" % (given[:40],))
    return hour, minute


# Digits and letters.

def _digits(given, yao):
    said = []
    for character in given:
        if character == "1" and yao:
            said.append("number_yao")
        elif character in "0123456789":
            said.append("number_" + character)
        elif character in SYMBOLS and character not in "-.&/":       # grouping of a telephone number is not said
            said.append("symbol_" + SYMBOLS[character][0])
    if not said:
        raise LocalError("%r has no digits" % (given,))
    return said


def _spelled(given):
    said = []
    for character in given.lower():
        if character in "0123456789":
            said.append("number_" + character)
        elif character in LETTERS:
            said.append("letter_" + character)
        elif character in SYMBOLS:
            said.append("symbol_" + SYMBOLS[character][0])
    if not said:
        raise LocalError("%r has nothing that can be spelled" % (given,))
    return said


# Numbers.

def _number(sign, whole, part, chinese):
    said = ["number_minus"] if sign else []
    if chinese:
        said = said + cardinal_zh(whole, alone="number_2")
    else:
        said = said + cardinal_en(whole)
    if part:
        said = said + ["number_point"] + ["number_" + digit for digit in part]
    return said


def cardinal_zh(whole, alone="number_2"):
    """A whole number in Putonghua.  whole: digits; alone: how a plain 2 is said, 二 or (before a measure word) 两."""
    value = int(whole)
    if value >= LARGEST:
        return ["number_" + digit for digit in whole]
    if value == 2:
        return [alone]
    return _zh(value, True) if value else ["number_0"]


def _zh(value, leads):
    """1 to 10^16 - 1.  leads: nothing was said before it."""
    if value >= 100000000:
        high, low = divmod(value, 100000000)
        said = _led(high, leads) + ["number_hundred_million"]
        return said + _low(low, 10000000)
    if value >= 10000:
        high, low = divmod(value, 10000)
        return _led(high, leads) + ["number_ten_thousand"] + _low(low, 1000)
    return _zh_group(value, leads)


def _led(high, leads):
    """What stands before 万 or 亿: a two that leads there is 两."""
    return ["number_liang"] if high == 2 and leads else _zh(high, leads)


def _low(low, full):
    """What follows 万 or 亿; 零 where its highest place is empty."""
    if not low:
        return []
    return (["number_0"] if low < full else []) + _zh(low, False)


def _zh_group(value, leads):
    """1 to 9999."""
    said, gap = [], False
    for size, name in ((1000, "number_thousand"), (100, "number_hundred"), (10, "number_10"), (1, None)):
        digit = value // size % 10
        if not digit:
            gap = bool(said)
            continue
        if gap:
            said.append("number_0")
            gap = False
        if digit == 2 and size == 1000 and leads and not said:
            said.append("number_liang")
        elif not (digit == 1 and size == 10 and leads and not said):
            said.append("number_%d" % digit)
        if name:
            said.append(name)
    return said


def cardinal_en(whole):
    """A whole number in English.  whole: digits."""
    value = int(whole)
    if value >= LARGEST:
        return ["number_" + digit for digit in whole]
    if value == 0:
        return ["number_0"]
    said = []
    for size, name in ((10 ** 12, "number_trillion"), (10 ** 9, "number_billion"), (10 ** 6, "number_million"), (1000, "number_thousand")):
        count = value // size
        value %= size
        if count:
            said += _below_1000(count) + [name] if count < 1000 else cardinal_en(str(count)) + [name]
    if value:
        if said and value < 100:
            said.append("number_and")
        said += _below_1000(value)
    return said


def _below_1000(value):
    said = []
    if value >= 100:
        said += ["number_%d" % (value // 100), "number_hundred"]
        value %= 100
        if value:
            said.append("number_and")
    if value > 20:
        said.append("number_%d" % (value - value % 10))
        value %= 10
    if value:
        said.append("number_%d" % value)
    return said


# Things that are counted, money, durations.

def _count(sign, whole, part, unit, chinese):
    if unit not in UNITS:
        raise LocalError("there is no unit %r; choose one of %s" % (unit, ", ".join(sorted(UNITS))))
    said = ["number_minus"] if sign else []
    if chinese:
        said += _number("", whole, part, True) if part else cardinal_zh(whole, alone="number_liang")
        return said + ["unit_" + unit]
    said += _number("", whole, part, False)
    return said + ["unit_" + unit if whole == "1" and not part else "unit_" + unit + "_many"]


def _money(given, currency, chinese):
    sign, whole, part = given
    row = CURRENCIES.get(currency)
    if row is None:
        raise LocalError("there is no currency %r; choose one of %s" % (currency, ", ".join(sorted(CURRENCIES))))
    places = row[6]
    if part[places:].strip("0"):
        whole, part = _round(whole, part, places)
    part = (part + "00")[:places]
    if whole == "0" and not part.strip("0"):
        sign = ""
    name = "money_" + currency.lower()
    said = ["number_minus"] if sign else []
    small = int(part) if places else 0
    if not chinese:
        if whole != "0" or not small:
            said += cardinal_en(whole) + [name if whole == "1" else name + "_many"]
            if small:
                said.append("number_and")
        return said + (cardinal_en(str(small)) + [name + ("_small" if small == 1 else "_small_many")] if small else [])
    if whole != "0" or not small:
        said += cardinal_zh(whole, alone="number_liang") + [name]
    if small and currency != "CNY":
        return said + cardinal_zh(str(small), alone="number_liang" if whole == "0" else "number_2") + [name + "_small"]
    jiao, fen = divmod(small, 10)
    two = "number_liang" if whole == "0" else "number_2"
    if jiao:
        said += [two if jiao == 2 else "number_%d" % jiao, "jiao"]
        two = "number_2"
    elif fen and whole != "0":
        said.append("number_0")
    if fen:
        said += [two if fen == 2 else "number_%d" % fen, name + "_small"]
    return said


def _round(whole, part, places):
    """To so many places, halves away from zero, in decimal: an amount is no float."""
    kept, first = part[:places], part[places]
    value = int((whole + kept) or "0") + (1 if first >= "5" else 0)
    digits = str(value)
    while len(digits) <= places:
        digits = "0" + digits
    return (digits[:len(digits) - places] or "0") if places else digits, digits[len(digits) - places:] if places else ""


def _duration(given, chinese):
    sign, whole, part = given
    seconds = int(whole) + (1 if part[:1] >= "5" and part else 0)
    if sign or seconds >= 360000000:
        raise LocalError("%s%s seconds is no duration that can be said" % (sign, whole))
    said = []
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        count = seconds // size
        seconds %= size
        if count or (unit == "second" and not said):
            said += _count("", str(count), "", unit, chinese)
    return said


# Dates and times.

def _date_zh(date, with_weekday, with_year):
    year, month, day = date
    said = ["number_" + digit for digit in "%04d" % year] + ["year"] if with_year else []
    said += cardinal_zh(str(month)) + ["month"] + cardinal_zh(str(day)) + ["day"]
    return said + (["weekday_%d" % weekday(*date)] if with_weekday else [])


def _date_en(date, with_weekday, with_year):
    year, month, day = date
    said = ["weekday_%d" % weekday(*date)] if with_weekday else []
    return said + ["the", "ordinal_%d" % day, "of", "month_%d" % month] + (_year_en(year) if with_year else [])


def _year_en(year):
    """2026: twenty twenty six; 2005: two thousand and five; 1905: nineteen oh five; 1900: nineteen hundred."""
    century, rest = divmod(year, 100)
    if year < 1000 or century % 10 == 0 and rest < 10:
        return cardinal_en(str(year))
    if rest == 0:
        return _below_1000(century) + ["number_hundred"]
    return _below_1000(century) + (["oh"] if rest < 10 else []) + _below_1000(rest)


def _time_zh(time, whole_day):
    hour, minute = time
    said = []
    if not whole_day:
        for until, name in ((6, "small_hours"), (9, "early"), (12, "forenoon"), (13, "noon"), (18, "afternoon"), (24, "evening")):
            if hour < until:
                said = [name]
                break
        if hour > 12:
            hour -= 12
    said += cardinal_zh(str(hour), alone="number_liang")
    if not minute:
        return said + ["oclock_sharp"]
    return said + ["oclock"] + (["number_0"] if minute < 10 else []) + cardinal_zh(str(minute)) + ["minute"]


def _time_en(time, whole_day):
    hour, minute = time
    if whole_day:
        if not minute:
            return (["number_0"] if hour == 0 else _below_1000(hour)) + ["hundred_hours"]
        return (["number_0"] if hour == 0 else _below_1000(hour)) + (["oh"] if minute < 10 else []) + _below_1000(minute)
    if not minute and hour in (0, 12):
        return ["number_12", "noon" if hour else "midnight"]
    said = _below_1000(hour % 12 or 12)
    if minute:
        said += (["oh"] if minute < 10 else []) + _below_1000(minute)
    return said + ["am" if hour < 12 else "pm"]
