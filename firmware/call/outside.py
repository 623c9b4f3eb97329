"""Calls to the outside: which way a dialled number goes, as what number, and whose number is shown.

The configuration's "routes" say what may be dialled, "trunk_groups" what lies behind them:

    {"number": "90.", "label": "National", "class": "national", "hunt_limit": 6, "choices": [
        {"trunk_group": "carrier", "strip": 1, "prefix": "", "type": "unknown", "plan": "isdn",
         "days": "12345", "from": "08:00", "to": "18:00"},
        {"trunk_group": "second", "strip": 1, "prefix": "17951"}]}

    plan = OutsidePlan(config)
    plan.find("9013912345678", True, CLASSES) -> (MATCH, row)        longest match, see number_plan.py
    ways(row, digits, weekday, minute, areas=areas) -> [{"trunk_group", "number", "type", "plan"}]   open now, first choice first

A choice may be for some areas only ("areas"), and put the 0 before mobile numbers of elsewhere ("mobile_zero"): areas.py.

What was dialled is kept; a way holds the rewritten number.  A number that begins with "+" after
the rewriting is sent without it, as an international one (Q.931 4.5.8).

Classes are the toll limits: a line has a list of those it may call; a trunk group has one for its
own callers (tandem calls), empty unless somebody allows it, so that nobody outside can dial through
the switch at its owner's cost.  "emergency" is open to every line and, unless its "emergency" setting says otherwise, to the callers of every
trunk group; only a whole number may be one.  The class of the route is not the last word: a number that
goes out as an international one, by its type or its digits (abroad.py), asks for "international" as well (classes_of),
whatever route it came by.
"""

from firmware.call.abroad import HOMES, leads_abroad
from firmware.call.number_plan import MATCH, MORE, INCOMPLETE, UNKNOWN, DIGITS, NumberPlan, check_pattern
from firmware.errors import ConfigError

CLASSES = ("internal", "local", "national", "international", "premium", "emergency")
INTERNAL, LOCAL, NATIONAL, INTERNATIONAL, EMERGENCY = CLASSES[:4] + CLASSES[5:]
LINE_CLASSES = (INTERNAL, LOCAL, NATIONAL)          # of a line whose configuration says nothing
TYPES = ("unknown", "international", "national", "network", "subscriber")   # Q.931 4.5.8, type of number
PLANS = ("unknown", "isdn", "national", "private")
CALLERS = ("line", "group", "none")
OVERLAPS = ("off", "trunks", "telephones")
# What callers of a trunk group get who dial an emergency number: as telephones of ours do; only what is free; nothing.
HELPED, HELPED_AS_GUESTS, NOT_HELPED = HELP = ("allowed", "guests", "refused")
HUNT_LIMIT = 6
ALL_DAYS = "1234567"
SHORTEST_ABROAD = 8         # digits with the international prefix, behind a prefix of ours; invented
LONGEST_NUMBER = 32         # digits; E.164 has 15, carrier selection and our prefixes come before them; invented

# Causes (Q.850) after which another trunk of the same group is tried: the far end refused only the channel.
ANOTHER_TRUNK = (6, 44, 82)
# ... and after which the next choice is: nothing that the called party said.
# 2, 3 no route; 25 routing error; 27 destination out of order; 34, 42 congestion; 38 network out of order;
# 41 temporary failure; 43 access information discarded; 47 resource; 58 bearer not there now.
ANOTHER_WAY = (2, 3, 25, 27, 34, 38, 41, 42, 43, 47, 58)


def is_whole(number):
    """Whether the number of a route is one number: only such a one may be an emergency number."""
    return number[-1:] != "." and "x" not in number


def minutes(text, path):
    """"08:30" -> 510; "24:00" is the end of the day.  Raises ConfigError."""
    parts = text.split(":")
    if len(parts) == 2 and len(parts[0]) == 2 and len(parts[1]) == 2 and _are_digits(parts[0] + parts[1]):
        value = int(parts[0]) * 60 + int(parts[1])
        if value <= 1440 and int(parts[1]) < 60:
            return value
    raise ConfigError(path, "%r is no time of the day; give hours and minutes, for example 08:30" % (text,))


def _are_digits(text):
    for character in text:
        if character not in "0123456789":
            return False
    return bool(text)


class OutsidePlan:
    """The routes of one configuration.  Raises ConfigError where one leads nowhere."""

    def __init__(self, config):
        groups = {}
        for group in config.get("trunk_groups") or []:
            groups[group["name"]] = True
        self._rows = config.get("routes") or []
        self._country = (config.get("site") or {}).get("country")
        seen = {}
        for index in range(len(self._rows)):
            _check_row(self._rows[index], "routes[%d]" % index, groups)
            number = self._rows[index]["number"]
            if number in seen:
                raise ConfigError("routes[%d].number" % index, "%s is routed by routes[%d] already; remove one of them"
                                  % (number, seen[number]))
            seen[number] = index
        self._plan = NumberPlan(self._rows)
        self._help = NumberPlan([row for row in self._rows if row.get("class") == EMERGENCY and is_whole(row["number"])])

    def find(self, digits, complete, classes):
        """Look up dialled digits for a caller who may see some classes.  Returns (verdict, row or None).

        The longest match decides first: a number of a forbidden class must not slip through a shorter route, nor
        what is sent as an international number through a route of another class.  Who may call for help only is asked for no
        digits that other routes want."""
        if len(digits) > LONGEST_NUMBER:
            return UNKNOWN, None
        plan = self._help if tuple(classes) == (EMERGENCY,) else self._plan
        verdict, row = plan.find(digits, complete)
        if verdict == MATCH:
            for kind in self.classes_of(row, digits):
                if kind not in classes:
                    return UNKNOWN, None
        if verdict == MATCH and not [choice for choice in row["choices"] if _leaves_digits(row, choice, digits)]:
            return (INCOMPLETE if complete else MORE), None
        return verdict, row

    def begun(self, digits, classes):
        """The row that digits will be routed by whatever follows them, or None: not certain yet, or not for these classes.

        For overlap sending: who gives digits one by one is judged anew with each of them."""
        row = self._plan.settled(digits) if len(digits) <= LONGEST_NUMBER else None
        if row is None:
            return None
        for kind in self.classes_of(row, digits):
            if kind not in classes:
                return None
        return row

    def classes_of(self, row, digits):
        """Every class that a caller needs for dialled digits, the one that tells most last.

        That of the route, and "international" where one of its choices would send an international number; a whole
        emergency number is free of that, an open one is none."""
        kind = row.get("class", NATIONAL)
        if kind == INTERNATIONAL or (kind == EMERGENCY and is_whole(row["number"])):
            return (kind,)
        if kind == EMERGENCY:           # of an old configuration; what is open must not be free for all
            kind = NATIONAL
        for choice in row["choices"]:
            if _leaves_digits(row, choice, digits) and self._leads_abroad(row, choice, digits):
                return kind, INTERNATIONAL
        return (kind,)

    def _leads_abroad(self, row, choice, digits):
        code, abroad = HOMES.get(self._country, ("", "00"))
        way, prefix, strip = rewritten(choice, digits), choice.get("prefix") or "", choice.get("strip") or 0
        number, fixed = way["number"], prefix + row["number"][strip:]
        if way["type"] == INTERNATIONAL:
            fixed = fixed.lstrip("+")
        elif number[:len(abroad)] == abroad:
            fixed, number = fixed[len(abroad):], number[len(abroad):]
        else:
            left = digits[strip:]
            return leads_abroad(self._country, number) or (
                bool(prefix) and len(left) >= SHORTEST_ABROAD and left[:len(abroad)] == abroad)
        # our own country in the international form, where the configuration says so and not the caller
        return not (code and fixed[:len(code)] == code) or leads_abroad(self._country, number[len(code):])


def _leaves_digits(row, choice, digits):
    """Whether something that was dialled is left to send; only a number that is whole may be replaced altogether.

    What is sent is digits and nothing else: a "+" that is not the first character can be meant for nobody."""
    number = rewritten(choice, digits)["number"]
    for character in number:
        if character not in DIGITS:
            return False
    return bool(number) and (row["number"][-1] != "." or len(digits) > (choice.get("strip") or 0))


def _check_row(row, path, groups):
    check_pattern(row["number"], path + ".number")
    if row.get("class", NATIONAL) not in CLASSES or row.get("class") == INTERNAL:
        raise ConfigError(path + ".class", "%r is no class of outside calls; choose one of %s" % (row.get("class"), ", ".join(CLASSES[1:])))
    choices = row.get("choices") or []
    if not choices:
        raise ConfigError(path + ".choices", "a route needs at least one choice with a trunk group")
    for index in range(len(choices)):
        choice, here = choices[index], "%s.choices[%d]" % (path, index)
        if choice.get("trunk_group") not in groups:
            raise ConfigError(here + ".trunk_group", "there is no trunk group %r; choose one of %s"
                              % (choice.get("trunk_group"), ", ".join(sorted(groups)) or "(none)"))
        for name, known in (("type", TYPES), ("plan", PLANS)):
            if choice.get(name, known[0]) not in known:
                raise ConfigError("%s.%s" % (here, name), "%r is not known; choose one of %s" % (choice[name], ", ".join(known)))
        shortest = len(row["number"]) - (1 if row["number"][-1] == "." else 0)
        if choice.get("strip", 0) > shortest:
            raise ConfigError(here + ".strip", "takes %d digits away, but the number may have only %d; take away less"
                              % (choice["strip"], shortest))
        if choice.get("strip", 0) == shortest and row["number"][-1] != "." and choice.get("prefix", "") in ("", "+"):
            raise ConfigError(here + ".strip", "takes all digits away and no prefix is added; nothing would be dialled")
        if choice.get("prefix") and not choice.get("strip") and row["number"][0] == "+":
            raise ConfigError(here + ".prefix", "would stand before the + of the number; take the + away with strip")
        for name in ("from", "to"):
            if choice.get(name) is not None:
                minutes(choice[name], "%s.%s" % (here, name))
        for day in choice.get("days") or ALL_DAYS:
            if day not in ALL_DAYS:
                raise ConfigError(here + ".days", "%r is no day; give digits from 1 (Monday) to 7 (Sunday), for example 12345" % day)


def is_open(choice, weekday, minute):
    """Whether a choice is in force.  weekday: 1 Monday to 7 Sunday; minute: of the day, both of the site.

    "from" after "to" goes over midnight and counts to the day on which it begins."""
    begin, end = minutes(choice.get("from") or "00:00", "from"), minutes(choice.get("to") or "24:00", "to")
    days = choice.get("days") or ALL_DAYS
    today, yesterday = str(weekday) in days, str((weekday + 5) % 7 + 1) in days
    if begin < end:
        return today and begin <= minute < end
    return (today and minute >= begin) or (yesterday and minute < end)


def rewritten(choice, digits, areas=None):
    """What is sent for dialled digits: {"number", "type", "plan"}."""
    left = digits[choice.get("strip") or 0:]
    if areas is not None and choice.get("mobile_zero"):
        left = areas.dialled(left)
    number = (choice.get("prefix") or "") + left
    kind = choice.get("type") or TYPES[0]
    if number[:1] == "+":
        number, kind = number[1:], "international"
    return {"number": number, "type": kind, "plan": choice.get("plan") or "isdn"}


def serves(choice, digits, areas):
    """Whether a choice is for the area of a number.  areas: Areas, or None: it is not asked."""
    return areas is None or areas.takes(choice.get("areas"), digits[choice.get("strip") or 0:])


def shut_by(choice, row, digits, weekday, minute, areas):
    """What keeps a choice from a whole number now: "hours", "digits" (none is left to send) or "areas"; None: nothing."""
    if not is_open(choice, weekday, minute):
        return "hours"
    if not _leaves_digits(row, choice, digits):
        return "digits"
    return None if serves(choice, digits, areas) else "areas"


def open_choices(row, digits, weekday, minute, areas=None):
    """The choices of a route that a whole number has now, in order.

    An emergency number of which every choice is shut takes them all: a call for help is not refused because of the hour."""
    found = [choice for choice in row["choices"] if shut_by(choice, row, digits, weekday, minute, areas) is None]
    if not found and row.get("class") == EMERGENCY and is_whole(row["number"]):
        found = [choice for choice in row["choices"] if _leaves_digits(row, choice, digits)]
    return found


def way(choice, digits, areas=None):
    """What a choice makes of dialled digits: {"trunk_group", "number", "type", "plan"}."""
    return dict(rewritten(choice, digits, areas), trunk_group=choice["trunk_group"])


def ways(row, digits, weekday, minute, begun=False, areas=None):
    """The choices of a route that are open, in order: [{"trunk_group", "number", "type", "plan"}].

    begun: digits follow, so that none need be there yet, and no area is known."""
    if begun:
        return [way(choice, digits) for choice in row["choices"] if is_open(choice, weekday, minute) and not choice.get("areas")]
    return [way(choice, digits, areas) for choice in open_choices(row, digits, weekday, minute, areas)]


def always_open(row):
    """Whether some choice of a whole number is never shut by hours or areas, and sends digits that are no international number."""
    for choice in row["choices"]:
        hours = minutes(choice.get("from") or "00:00", "from"), minutes(choice.get("to") or "24:00", "to")
        days = choice.get("days") or ALL_DAYS
        if hours in ((0, 1440), (0, 0)) and not [day for day in ALL_DAYS if day not in days] and not choice.get("areas") and (
                _leaves_digits(row, choice, row["number"]) and rewritten(choice, row["number"])["type"] != INTERNATIONAL):
            return True
    return False


def shown_number(group, line, caller):
    """The calling number that a trunk group sends: {"number", "type", "presentation"}, or None for no such element.

    group: row of the trunk group; line: row of the calling line, or None for a caller from outside;
    caller: {"number", "type", "presentation"} of that caller as it came in; of a line's call its presentation: a telephone may withhold its number (CLIR)."""
    rule = group.get("caller") or CALLERS[0]
    withheld = group.get("withhold") or line is not None and (caller or {}).get("presentation") == "restricted"
    if rule == "none":
        return None
    own = {"number": group.get("caller_number") or "", "type": group.get("caller_type") or TYPES[0], "presentation": "allowed"}
    if rule == "group":
        shown = own
    elif line is None:
        shown = {"number": caller.get("number") or "", "type": caller.get("type") or TYPES[0],
                 "presentation": caller.get("presentation") or "allowed"}
        if shown["presentation"] == "unavailable":
            return None
    else:
        shown = own
        if line.get("outside_number"):
            shown["number"] = line["outside_number"]
        if line.get("withhold"):
            shown["presentation"] = "restricted"
    if not shown["number"]:
        return None
    if withheld:
        shown["presentation"] = "restricted"
    return shown
