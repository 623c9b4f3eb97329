"""Calendars: days on which other hours hold than in the week, and lists of callers.

    day_of(calendar, (2026, 10, 3)) -> the row of that day, or None
    is_open(row, minute)            whether that day is open at a minute
    matches("138xxxxxxxx", number)  x any digit, . at the end any further ones
    days_said(day_runs("123457"))   "Monday to Friday, Sunday"
"""

YEARLY = 5      # characters of "12-25"
WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def day_runs(days):
    """Days of the week that follow one another: "123457" -> [[1, 5], [7, 7]]."""
    runs = []
    for day in sorted({int(digit) for digit in days}):
        if runs and runs[-1][1] == day - 1:
            runs[-1][1] = day
        else:
            runs.append([day, day])
    return runs


def days_said(runs):
    """The same as words: "Monday to Friday, Sunday"."""
    return ", ".join(WEEK[first - 1] + (" to " + WEEK[last - 1] if last > first else "") for first, last in runs)


def _as_date(text):
    parts = [int(part) for part in text.split("-")]
    return tuple(parts)


def day_of(days, date):
    """The first row that holds on a date (year, month, day).  days: [{"date", "to"?, "from_time"?, "to_time"?}]; "12-25" holds each year."""
    for row in days:
        first = _as_date(row["date"])
        last = _as_date(row["to"]) if row.get("to") else first
        there = date if len(first) == 3 else date[1:]
        if first <= last and first <= there <= last or first > last and (there >= first or there <= last):
            return row
    return None


def is_open(row, minute):
    """Whether a special day is open at a minute of the day; without hours it is closed."""
    begin, end = row.get("from_time") or "", row.get("to_time") or ""
    if not begin or not end:
        return False
    hours = [int(part) for text in (begin, end) for part in text.split(":")]
    return hours[0] * 60 + hours[1] <= minute < hours[2] * 60 + hours[3]


def matches(pattern, number):
    """Whether a number is one of a pattern."""
    open_end = pattern[-1:] == "."
    shape = pattern[:-1] if open_end else pattern
    if len(number) < len(shape) or not open_end and len(number) != len(shape):
        return False
    for index in range(len(shape)):
        if shape[index] != number[index] and not (shape[index] == "x" and number[index].isdigit()):
            return False
    return True


def treatment(lists, number):
    """The first list that has a number, or None.  lists: [{"numbers": [pattern], ...}]."""
    for row in lists:
        for pattern in row["numbers"]:
            if number and matches(pattern, number):
                return row
    return None


def blocks(lists, number):
    """The list that keeps a number out, or None.  lists: those of treatment "blocked" and "allowed", of which the first that has it decides."""
    row = treatment(lists, number)
    return row if row is not None and row["treatment"] == "blocked" else None
