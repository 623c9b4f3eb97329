"""What a setting is: one Field describes its type, unit, range, default, help and impact.

A Field checks a value and returns it normalised; what is wrong is collected
as ConfigError with the path of the value and advice for the person who set it.
The same objects are walked to draw the pages and to document the file.
"""

import ipaddress
import re
import zoneinfo

from firmware.config.written import dialable
from firmware.errors import ConfigError

# What applying a change of the setting does to the calls that are up.
IMPACT_NEW_CALLS = "new calls"
IMPACT_SPAN = "the span restarts"
IMPACT_RESTART = "the process restarts"
ANY_ADDRESS = ("0.0.0.0", "::")             # all addresses of the machine


class Field:
    """One setting.  check() returns the normalised value and appends to errors."""

    def __init__(self, help, default=None, required=False, unit="", impact=IMPACT_NEW_CALLS):
        self.help = help
        self.default = default
        self.required = required
        self.unit = unit
        self.impact = impact

    def check(self, value, path, errors):
        raise NotImplementedError

    def describe(self):
        """The field as plain data, for pages and documents."""
        return {"type": type(self).__name__.lower(), "help": self.help, "default": self.default,
                "unit": self.unit, "required": self.required, "impact": self.impact}

    def _wrong(self, value, path, errors, advice):
        errors.append(ConfigError(path, advice))
        return self.default if value is None else value


class Text(Field):
    """A string; pattern: a regular expression it must match whole; choices: the only values; tidy: function(text) that takes away what people write along."""

    def __init__(self, help, pattern=None, choices=None, max_octets=200, hint="", tidy=None, **kw):
        super().__init__(help, **kw)
        self.tidy = tidy
        self.pattern = re.compile(pattern) if pattern else None
        self.choices = choices
        self.max_octets = max_octets
        self.hint = hint

    def check(self, value, path, errors):
        if self.tidy is not None and isinstance(value, str):
            value = self.tidy(value)
        if not isinstance(value, str) or not value.isprintable():
            return self._wrong(value, path, errors, f"give printable text in quotes, not {self._said(value)}")
        if self.choices and value not in self.choices:
            return self._wrong(value, path, errors,
                               f"{value!r} is not known; choose one of {', '.join(self.choices)}")
        if len(value.encode()) > self.max_octets:
            return self._wrong(value, path, errors, f"is longer than {self.max_octets} octets; shorten it")
        if self.pattern and not self.pattern.fullmatch(value):
            return self._wrong(value, path, errors, f"{self._said(value)} does not fit; {self.hint or self.help}")
        return value

    def _said(self, value):
        """How a sentence names a wrong value."""
        return repr(value)

    def describe(self):
        return {**super().describe(), "choices": self.choices}


class Secret(Text):
    """A password or a code: no sentence and no form shows it."""

    def _said(self, value):
        return "what was given"


class Number(Text):
    """A telephone number or a pattern of numbers, which may be written with spaces, dashes and brackets."""

    def __init__(self, help, **kw):
        super().__init__(help, tidy=dialable, **kw)

    def describe(self):
        return {**super().describe(), "type": "text"}


def plain(address):
    """An address in the one form in which it is compared: IPv4 without its IPv6 dress, no zone where none is needed.  Raises ValueError."""
    found = ipaddress.ip_address(address)
    if found.version == 6 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    elif found.version == 6 and found.scope_id is not None and not found.is_link_local:
        found = ipaddress.ip_address(int(found).to_bytes(16, "big"))
    return str(found)


class Address(Field):
    """An IPv4 or IPv6 address."""

    def check(self, value, path, errors):
        try:
            return plain(value) if isinstance(value, str) else ipaddress.ip_address(None)
        except ValueError:
            return self._wrong(value, path, errors, f"{value!r} is no address; give an IPv4 or IPv6 address")


NAME = re.compile(r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class Host(Field):
    """An IPv4 or IPv6 address, or a name that DNS knows."""

    def check(self, value, path, errors):
        try:
            return plain(value) if isinstance(value, str) else ipaddress.ip_address(None)
        except ValueError:
            if isinstance(value, str) and NAME.fullmatch(value.rstrip(".")):
                return value.rstrip(".").lower()
            return self._wrong(value, path, errors, f"{value!r} is no address and no name; give for example 203.0.113.7 or sip.example.org")


def is_name(host):
    """Whether a host that was checked is a name, not an address."""
    return ":" not in host and not host.replace(".", "").isdigit()


class Zone(Field):
    """An IANA time zone that this box knows."""

    def check(self, value, path, errors):
        if isinstance(value, str) and value in zoneinfo.available_timezones():
            return value
        return self._wrong(value, path, errors, f"{value!r} is no time zone; give a name such as Asia/Shanghai or Europe/Berlin")


class Whole(Field):
    """A whole number between low and high, both included."""

    def __init__(self, help, low, high, **kw):
        super().__init__(help, **kw)
        self.low, self.high = low, high

    def check(self, value, path, errors):
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong(value, path, errors,
                               f"give a whole number from {self.low} to {self.high}, not {value!r}")
        if not self.low <= value <= self.high:
            return self._wrong(value, path, errors,
                               f"{value} is out of range; give {self.low} to {self.high}"
                               + (f" {self.unit}" if self.unit else ""))
        return value

    def describe(self):
        return {**super().describe(), "low": self.low, "high": self.high}


class Several(Field):
    """A list of values out of `choices`, each once.  ordered: which comes first means something."""

    def __init__(self, help, choices, ordered=False, **kw):
        super().__init__(help, **kw)
        self.choices, self.ordered = choices, ordered

    def check(self, value, path, errors):
        if not isinstance(value, list):
            return self._wrong(value, path, errors, f"give a list in square brackets of {', '.join(self.choices)}")
        for index, item in enumerate(value):
            if item not in self.choices:
                self._wrong(item, f"{path}[{index}]", errors, f"{item!r} is not known; choose among {', '.join(self.choices)}")
            elif item in value[:index]:
                self._wrong(item, f"{path}[{index}]", errors, f"{item!r} stands there twice; remove one")
        return value

    def make_default(self):
        return list(self.default or ())

    def describe(self):
        return {**super().describe(), "choices": self.choices}


class Switch(Field):
    """On or off."""

    def check(self, value, path, errors):
        if not isinstance(value, bool):
            return self._wrong(value, path, errors, f"give true or false, not {value!r}")
        return value


class Anything(Field):
    """Data that another room checks (an IVR flow)."""

    def check(self, value, path, errors):
        return value


class Section(Field):
    """A group of named settings; a name that is not in the schema is an error."""

    def __init__(self, help, fields, **kw):
        super().__init__(help, **kw)
        self.fields = fields

    def check(self, value, path, errors):
        if not isinstance(value, dict):
            return self._wrong(value, path or "configuration.json", errors, "give a group of settings in braces")
        prefix = f"{path}." if path else ""
        for name in value:
            if name not in self.fields:
                errors.append(ConfigError(prefix + str(name), "is not a setting of this version; remove it "
                                          f"or correct the name (known: {', '.join(self.fields)})"))
        result = {}
        for name, field in self.fields.items():
            if name in value:
                result[name] = field.check(value[name], prefix + name, errors)
            elif field.required:
                errors.append(ConfigError(prefix + name, f"is missing; it is {field.help}"))
            else:
                result[name] = field.make_default() if hasattr(field, "make_default") else field.default
        return result

    def make_default(self):
        errors = []
        value = self.check({}, "", errors)
        return value if not errors else self.default

    def describe(self):
        return {**super().describe(), "fields": {n: f.describe() for n, f in self.fields.items()}}


class Rows(Field):
    """A list of sections; key: the field whose values may not repeat."""

    def __init__(self, help, row, key=None, most=4096, **kw):
        super().__init__(help, **kw)
        self.row, self.key, self.most = row, key, most

    def check(self, value, path, errors):
        if not isinstance(value, list):
            return self._wrong(value, path, errors, "give a list in square brackets")
        if len(value) > self.most:
            errors.append(ConfigError(path, f"has {len(value)} rows; at most {self.most} are allowed"))
            return value
        result, seen = [], {}
        for index, item in enumerate(value):
            here = f"{path}[{index}]"
            result.append(self.row.check(item, here, errors))
            mark = item.get(self.key) if self.key and isinstance(item, dict) else None
            if isinstance(mark, (str, int)):
                if mark in seen:
                    errors.append(ConfigError(f"{here}.{self.key}",
                                              f"{mark!r} is already used by {path}[{seen[mark]}]; give each its own"))
                seen.setdefault(mark, index)
        return result

    def make_default(self):
        return []

    def describe(self):
        return {**super().describe(), "key": self.key, "row": self.row.describe()}


class Table(Field):
    """Named entries of one kind."""

    def __init__(self, help, entry, **kw):
        super().__init__(help, **kw)
        self.entry = entry

    def check(self, value, path, errors):
        if not isinstance(value, dict):
            return self._wrong(value, path, errors, "give named entries in braces")
        return {name: self.entry.check(item, f"{path}.{name}", errors) for name, item in value.items()}

    def make_default(self):
        return {}
