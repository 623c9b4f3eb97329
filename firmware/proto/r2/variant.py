"""What the signals of an R2 variant mean: a checked form of its data.

    variant = Variant(boardconfig.r2_variants.load_r2("cn"))
    variant.meanings("A", 1)            -> ("next_digit", "caller_digit")
    variant.signal("B", "free_charge")  -> 1, or None where the variant has none

Data (JSON-able):
  {"variant", "name", "source",
   "line": {"fixed": 1, "invert": 0, "metering_ms": 0, "forced_release": bool},
   "backward": {"A": {"1": meaning or [meaning, ...], ...}, "B": {...}, "C": {...}},
   "end_of_pulsing", "caller_end", "caller_restricted": signal 1-15 or null,
   "forward": {meaning of FORWARD: signal},
   "categories": {category: signal}, "group_ii": the same after address complete, if other signals,
   "tones": {"forward": 15, "backward": 6 or 15}, "timers": {...}}

Two meanings of one signal: "category" until the category has gone, then
"caller_digit"; "next_digit" asks for the next digit of whichever number is
being sent, where "caller_digit" stands beside it.

Raises ConfigError on data that can not be a variant.  Portable.
"""

from firmware.errors import ConfigError

A_MEANINGS = ("next_digit", "previous_digit", "digit_n_2", "digit_n_3", "first_digit", "change_to_b", "congestion",
              "category", "caller_digit", "category_c", "free_charge_now", "unallocated", "country_code_indicator",
              "language", "circuit_nature", "echo_suppressor", "international_congestion")
B_MEANINGS = ("free", "free_charge", "free_no_charge", "free_called_controls", "busy", "busy_toll", "congestion",
              "unallocated", "out_of_order", "special_tone", "changed_number", "collect_refused", "barred")
C_MEANINGS = ("caller_digit", "change_to_b", "congestion", "next_digit", "category", "first_digit")
MEANINGS = {"A": A_MEANINGS, "B": B_MEANINGS, "C": C_MEANINGS}
FORWARD = ("country_code_indicator", "language", "satellite_none", "satellite_included", "echo_suppressor", "not_possible")
CATEGORIES = ("subscriber", "priority", "maintenance", "coin", "operator", "data", "international",
              "international_data", "international_priority", "international_operator", "collect", "toll_operator",
              "toll_automatic", "verification", "test")
# What a B (or A) signal says of the call, as Q.850 causes (Q.699 has the same table for ISUP)
CAUSES = {"busy": 17, "busy_toll": 17, "congestion": 42, "international_congestion": 42, "unallocated": 1,
          "out_of_order": 27, "special_tone": 4, "changed_number": 22, "collect_refused": 21, "barred": 21}
FREE = ("free", "free_charge", "free_no_charge", "free_called_controls")
# How to say a cause, best first
SIGNALS_OF_CAUSE = {17: ("busy", "special_tone"), 1: ("unallocated", "special_tone", "out_of_order", "congestion"),
                    28: ("unallocated", "special_tone", "congestion"), 3: ("unallocated", "special_tone"),
                    22: ("changed_number", "unallocated", "special_tone"), 27: ("out_of_order", "special_tone", "busy"),
                    21: ("collect_refused", "barred", "special_tone", "busy"),
                    4: ("special_tone", "unallocated")}
OTHER_CAUSES = ("congestion", "out_of_order", "busy")


class Variant:
    """data: see above."""

    def __init__(self, data):
        if not isinstance(data, dict):
            raise ConfigError("r2", "a variant is a map, not %r" % (data,))
        self.name = data.get("variant", "")
        self._tables = {}
        self._signals = {}
        backward = data.get("backward")
        if not isinstance(backward, dict) or "A" not in backward or "B" not in backward:
            raise ConfigError("r2.backward", "give the groups A and B")
        for group in sorted(backward):
            if group not in MEANINGS:
                raise ConfigError("r2.backward", "there is no group %r: A, B and C" % (group,))
            table = {}
            for key in sorted(backward[group], key=str):
                number = self._number("r2.backward.%s" % group, key)
                given = backward[group][key]
                given = tuple(given) if isinstance(given, (list, tuple)) else (given,)
                for meaning in given:
                    if meaning not in MEANINGS[group]:
                        raise ConfigError("r2.backward.%s.%s" % (group, key), "%r is no meaning; known are %s"
                                          % (meaning, ", ".join(MEANINGS[group])))
                    known = self._signals.get((group, meaning))
                    if known is None or number < known:
                        self._signals[(group, meaning)] = number
                table[number] = given
            self._tables[group] = table
        if self.signal("A", "next_digit") is None:
            raise ConfigError("r2.backward.A", "no signal asks for the next digit")
        self.end_of_pulsing = self._optional(data, "end_of_pulsing")
        self.caller_end = self._optional(data, "caller_end")
        self.caller_restricted = self._optional(data, "caller_restricted")
        self.categories = self._map("r2.categories", data.get("categories"), CATEGORIES)
        self.group_ii = self._map("r2.group_ii", data.get("group_ii") or data.get("categories"), CATEGORIES)
        self.forward = self._map("r2.forward", data.get("forward") or {}, FORWARD)
        if not self.categories:
            raise ConfigError("r2.categories", "give at least the signal of a subscriber")
        self.line = dict({"fixed": 1, "invert": 0, "metering_ms": 0, "forced_release": False})
        self.line.update(data.get("line") or {})
        self.timers = dict(data.get("timers") or {})
        self.backward_tones = (data.get("tones") or {}).get("backward", 15)

    @staticmethod
    def _number(path, value):
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = 0
        if not 1 <= number <= 15:
            raise ConfigError(path, "%r is no signal: 1 to 15" % (value,))
        return number

    def _optional(self, data, name):
        value = data.get(name)
        return None if value is None else self._number("r2." + name, value)

    def _map(self, path, given, known):
        table = {}
        for key in sorted(given or {}):
            if key not in known:
                raise ConfigError(path, "%r is not known; known are %s" % (key, ", ".join(known)))
            table[key] = self._number(path + "." + key, given[key])
        return table

    def meanings(self, group, number):
        """The meanings of a backward signal, () where the variant has none."""
        return self._tables.get(group, {}).get(number, ())

    def signal(self, group, meaning):
        """The backward signal with a meaning, or None."""
        return self._signals.get((group, meaning))

    def first_signal(self, group, meanings):
        """The signal of the first meaning that the variant has, or None."""
        for meaning in meanings:
            if self.signal(group, meaning) is not None:
                return self.signal(group, meaning)
        return None

    def refusal(self, group, cause):
        """The backward signal of group A or B that says a cause best, or None."""
        signal = self.first_signal(group, SIGNALS_OF_CAUSE.get(cause, ()))
        if signal is None:
            signal = self.first_signal(group, OTHER_CAUSES)
        return signal

    def category(self, number, after_address):
        """The name of a Group II signal, "" if it has none."""
        table = self.group_ii if after_address else self.categories
        for name in sorted(table):
            if table[name] == number:
                return name
        return ""
