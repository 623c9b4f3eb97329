"""Expressions of flows: a small safe language, and texts with values in them.

    balance > 100 and time.weekday <= 5          caller == "13912345678" or customer.level in ["gold", "vip"]
    matches(account, "62\\d{14}") and luhn(account)        rows[0].name        "Dear " + name
    fill("account {account} of {caller}", look)  ->  text

Values are those of JSON: none, true, false, numbers, texts, lists, objects.  A name that does not exist is none, and so
is a part of what has none.  Texts that are numbers count as numbers where one is needed (+ with a text on both sides
joins), and 1 == "1"; two texts are equal only letter by letter, so account numbers keep their zeros.

What can be called: FUNCTIONS.  There are no loops and no assignments, and length and depth are bounded, so each
expression ends soon.  evaluate() and fill() raise LocalError with a sentence; parse() does at the check of a flow.
"""

from firmware.errors import LocalError
from firmware.ivr import pattern
from firmware.ivr.spoken import days_of

LONGEST = 500           # characters of an expression
DEEPEST = 12            # MicroPython's stack is small
RESULT = 4096           # characters of a text that comes out
KEPT = 2000             # parsed expressions
OPERATORS = ("==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".")
WORDS = {"true": True, "false": False, "none": None}

_parsed = {}


# Reading.

def _tokens(source):
    found, at = [], 0
    while at < len(source):
        character = source[at]
        if character in " \t\n":
            at += 1
        elif character in "0123456789":
            end = at
            while end < len(source) and source[end] in "0123456789.":
                end += 1
            number = source[at:end]
            if number.count(".") > 1 or number.endswith(".") or len(number) > 18:
                raise LocalError("%r is no number" % number)
            found.append(("value", float(number) if "." in number else int(number)))
            at = end
        elif character in "\"'":
            end, text = at + 1, ""
            while end < len(source) and source[end] != character:
                if source[end] == "\\" and end + 1 < len(source) and source[end + 1] in "\\\"'":
                    end += 1
                text += source[end]
                end += 1
            if end >= len(source):
                raise LocalError("the text that begins with %r does not end" % source[at:at + 10])
            found.append(("value", text))
            at = end + 1
        elif character.isalpha() or character == "_":
            end = at
            while end < len(source) and (source[end].isalpha() or source[end] in "0123456789_"):
                end += 1
            word = source[at:end]
            if word in WORDS:
                found.append(("value", WORDS[word]))
            else:
                found.append(("operator" if word in ("and", "or", "not", "in") else "name", word))
            at = end
        else:
            for operator in OPERATORS:
                if source[at:at + len(operator)] == operator:
                    found.append(("operator", operator))
                    at += len(operator)
                    break
            else:
                raise LocalError("%r has no meaning here" % character)
    return found + [("end", None)]


class _Parser:
    def __init__(self, source):
        self.tokens, self.at, self.depth = _tokens(source), 0, 0

    def take(self, *operators):
        kind, value = self.tokens[self.at]
        if kind == "operator" and value in operators:
            self.at += 1
            return value
        return None

    def want(self, operator):
        if not self.take(operator):
            raise LocalError("%r is missing before %s" % (operator, self.here()))

    def here(self):
        kind, value = self.tokens[self.at]
        return "the end" if kind == "end" else repr(value)

    def binary(self, least):
        """Operators of a level and above, by climbing: one call for a whole level."""
        left, compared = self.unary(), False
        while True:
            kind, operator = self.tokens[self.at]
            level = _LEVELS.get(operator, -1) if kind == "operator" else -1
            if level < least or level == _COMPARING and compared:
                return left             # a < b < c has no meaning here
            self.at += 1
            left = (operator, left, self.binary(level + 1))
            compared = level == _COMPARING

    def expression(self):
        self.depth += 1
        if self.depth > DEEPEST:
            raise LocalError("it is nested more than %d deep" % DEEPEST)
        found = self.binary(0)
        self.depth -= 1
        return found

    def unary(self):
        operator = self.take("not", "-")
        if not operator:
            return self.postfix()
        self.depth += 1
        if self.depth > DEEPEST:
            raise LocalError("it is nested more than %d deep" % DEEPEST)
        found = ("not" if operator == "not" else "minus", self.binary(2) if operator == "not" else self.unary())
        self.depth -= 1
        return found

    def postfix(self):
        found = self.primary()
        while True:
            if self.take("."):
                kind, value = self.tokens[self.at]
                if kind != "name":
                    raise LocalError("a name is missing before %s" % self.here())
                self.at += 1
                found = ("part", found, ("value", value))
            elif self.take("["):
                found = ("part", found, self.expression())
                self.want("]")
            else:
                return found

    def primary(self):
        kind, value = self.tokens[self.at]
        if kind == "value":
            self.at += 1
            return ("value", value)
        if kind == "name":
            self.at += 1
            return self.call(value) if self.take("(") else ("name", value)
        if self.take("("):
            found = self.expression()
            self.want(")")
            return found
        if self.take("["):
            return ("list", self.several("]"))
        raise LocalError("a value is missing before %s" % self.here())

    def several(self, end):
        found = []
        while not self.take(end):
            if found:
                self.want(",")
            found.append(self.expression())
        return found

    def call(self, name):
        if name not in FUNCTIONS:
            raise LocalError("there is no function %s; known are %s" % (name, ", ".join(sorted(FUNCTIONS))))
        least, most, function = FUNCTIONS[name]
        arguments = self.several(")")
        if not least <= len(arguments) <= most:
            raise LocalError("%s takes %s values, not %d" % (name, least if least == most else "%d to %d" % (least, most), len(arguments)))
        if name == "matches" and arguments[1][0] == "value":
            pattern.compile(arguments[1][1])
        return ("call", name, arguments)


_LEVELS = {"or": 0, "and": 1, "==": 2, "!=": 2, "<=": 2, ">=": 2, "<": 2, ">": 2, "in": 2, "+": 3, "-": 3, "*": 4, "/": 4, "%": 4}
_COMPARING = 2


def parse(source):
    """The tree of an expression.  Raises LocalError with a sentence."""
    tree = _parsed.get(source) if isinstance(source, str) else None
    if tree is not None:
        return tree
    if not isinstance(source, str) or not source.strip():
        raise LocalError("an expression is a text, for example \"balance > 100\"")
    if len(source) > LONGEST:
        raise LocalError("an expression has at most %d characters" % LONGEST)
    parser = _Parser(source)
    tree = parser.expression()
    if parser.tokens[parser.at][0] != "end":
        raise LocalError("%s is too much in %r" % (parser.here(), source))
    if len(_parsed) >= KEPT:
        _parsed.clear()
    _parsed[source] = tree
    return tree


def names(source):
    """Names that an expression looks at, sorted."""
    found = {}
    _names(parse(source), found)
    return sorted(found)


def _names(tree, found):
    if tree[0] == "name":
        found[tree[1]] = True
    for part in tree[1:]:
        if isinstance(part, tuple):
            _names(part, found)
        elif isinstance(part, list):
            for each in part:
                _names(each, found)


# Working out.

def evaluate(source, look):
    """The value of an expression.  look(name) -> value or None."""
    value = _value(parse(source), look)
    if isinstance(value, str) and len(value) > RESULT:
        raise LocalError("the text that %r gives is longer than %d characters" % (source, RESULT))
    return value


def truth(value):
    """Whether a value counts as true: not none, false, 0, and nothing that is empty."""
    return bool(value)


def _value(tree, look):
    kind = tree[0]
    if kind == "value":
        return tree[1]
    if kind == "name":
        return look(tree[1])
    if kind == "list":
        return [_value(each, look) for each in tree[1]]
    if kind == "call":
        return FUNCTIONS[tree[1]][2](*[_value(each, look) for each in tree[2]])
    if kind == "and" or kind == "or":
        left = _value(tree[1], look)
        return _value(tree[2], look) if truth(left) == (kind == "and") else left
    left = _value(tree[1], look)
    if kind == "not":
        return not truth(left)
    if kind == "minus":
        return -number(left)
    right = _value(tree[2], look)
    if kind == "part":
        return _part(left, right)
    if kind == "==" or kind == "!=":
        return equal(left, right) == (kind == "==")
    if kind == "in":
        return contains(right, left)
    if kind == "+" and isinstance(left, str) and isinstance(right, str):
        return _short(left + right)
    if kind in ("<", "<=", ">", ">="):
        return _ordered(kind, left, right)
    return _arithmetic(kind, number(left), number(right))


def _arithmetic(kind, left, right):
    if kind == "+":
        value = left + right
    elif kind == "-":
        value = left - right
    elif kind == "*":
        value = left * right
    elif right == 0:
        raise LocalError("something is divided by zero")
    elif kind == "/":
        value = left / right
        if value == int(value) and isinstance(left, int) and isinstance(right, int):
            value = left // right
    else:
        value = left % right
    if abs(value) > 10 ** 18:
        raise LocalError("a number grows beyond 10 to the 18th")
    return value


def _part(value, name):
    if isinstance(value, dict):
        return value.get(name) if isinstance(name, str) else None
    if isinstance(value, (list, str)) and isinstance(name, int) and not isinstance(name, bool):
        return value[name] if -len(value) <= name < len(value) else None
    return None


def _ordered(kind, left, right):
    if isinstance(left, str) and isinstance(right, str) and not (_is_number(left) and _is_number(right)):
        pass                            # dates and clocks stand in the order of their letters
    else:
        left, right = number(left), number(right)
    return left < right if kind == "<" else left <= right if kind == "<=" else left > right if kind == ">" else left >= right


def _is_number(value):
    try:
        number(value)
        return True
    except LocalError:
        return False


def number(value):
    """A number, or a text that is one, as int or float."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 40:
        body = value.strip()
        digits = body[1:] if body[:1] in ("-", "+") else body
        whole, point, part = digits.partition(".")
        if (whole or part) and (not whole or whole.isdigit()) and (part.isdigit() if point else True):
            return float(body) if point else int(body)
    raise LocalError("%s is no number" % ("nothing" if value is None else repr(value)[:40]))


def equal(left, right):
    """Whether two values are equal; a number and a text that is the same number are."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, str) or isinstance(left, str) and isinstance(right, (int, float)):
        return _is_number(left) and _is_number(right) and number(left) == number(right)
    return left == right


def contains(where, what):
    """Whether a list has a value, a text another text, an object a name."""
    if isinstance(where, list):
        return True in [equal(each, what) for each in where]
    if isinstance(where, str):
        return text(what) in where
    return isinstance(where, dict) and isinstance(what, str) and what in where


def text(value):
    """A value as text: none is empty, numbers without a needless point."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return ("%.6f" % value).rstrip("0").rstrip(".")
    if isinstance(value, (int, str)):
        return str(value)
    raise LocalError("a list or an object is no text")


def _short(value):
    if len(value) > RESULT:
        raise LocalError("a text grows beyond %d characters" % RESULT)
    return value


# Functions.

def luhn(value):
    """Whether the last digit is the check digit of ISO/IEC 7812-1 Annex B."""
    digits = text(value)
    if not digits.isdigit() or len(digits) < 2:
        return False
    total = 0
    for index in range(len(digits)):
        digit = int(digits[len(digits) - 1 - index]) * (2 if index % 2 else 1)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


def identity_card(value):
    """Whether a resident identity number of GB 11643-1999 is right: 17 digits with a date of birth, and ISO 7064 MOD 11-2; * stands for X."""
    given = text(value).upper().replace("*", "X")
    if len(given) != 18 or not given[:17].isdigit() or not is_date(given[6:14]):
        return False
    total = 0
    for index in range(17):
        total += int(given[index]) * (2 ** (17 - index) % 11)
    return "10X98765432"[total % 11] == given[17]


def is_date(value):
    """Whether digits are a day as 20260105 (or 2026-01-05)."""
    digits = text(value).replace("-", "")
    if len(digits) != 8 or not digits.isdigit():
        return False
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    return year > 0 and 1 <= month <= 12 and 1 <= day <= days_of(year, month)


def is_time(value):
    """Whether digits are a time as 1405 (or 14:05)."""
    digits = text(value).replace(":", "")
    return len(digits) == 4 and digits.isdigit() and int(digits[:2]) < 24 and int(digits[2:]) < 60


def _cut(value, start, length):
    given = text(value)
    start = int(number(start))
    return given[max(0, start):max(0, start + int(number(length)))]


def _right(value, length):
    given, length = text(value), int(number(length))
    return given[len(given) - length:] if 0 < length < len(given) else given if length > 0 else ""


def _rounded(value, places=0):
    places = max(0, min(9, int(number(places))))
    size = 10 ** places
    value = number(value)
    units = int(abs(value) * size + 0.5 + 1e-9)
    units = -units if value < 0 else units
    return units / size if places else units


def _length(value):
    return len(value) if isinstance(value, (str, list, dict)) else 0 if value is None else len(text(value))


# name: (least values, most values, function)
FUNCTIONS = {
    "length": (1, 1, _length), "number": (1, 1, number), "text": (1, 1, text), "round": (1, 2, _rounded),
    "abs": (1, 1, lambda value: abs(number(value))), "min": (2, 2, lambda a, b: min(number(a), number(b))),
    "max": (2, 2, lambda a, b: max(number(a), number(b))), "whole": (1, 1, lambda value: int(number(value))),
    "left": (2, 2, lambda value, length: _cut(value, 0, length)), "right": (2, 2, _right), "cut": (3, 3, _cut),
    "upper": (1, 1, lambda value: text(value).upper()), "lower": (1, 1, lambda value: text(value).lower()),
    "trim": (1, 1, lambda value: text(value).strip()), "replace": (3, 3, lambda value, old, new: _short(text(value).replace(text(old) or "\0", text(new)))),
    "starts": (2, 2, lambda value, with_: text(value).startswith(text(with_))), "ends": (2, 2, lambda value, with_: text(value).endswith(text(with_))),
    "contains": (2, 2, contains), "between": (3, 3, lambda value, low, high: _ordered(">=", value, low) and _ordered("<=", value, high)),
    "default": (2, 2, lambda value, other: other if value is None or value == "" else value),
    "matches": (2, 2, lambda value, given: pattern.matches(given, text(value))), "luhn": (1, 1, luhn), "identity_card": (1, 1, identity_card),
    "is_date": (1, 1, is_date), "is_time": (1, 1, is_time), "is_number": (1, 1, _is_number),
}


# Texts with values in them.

def pieces(template):
    """[text or (expression,)] of a text with {expressions}; {{ and }} are the signs themselves.  Raises LocalError."""
    if not isinstance(template, str) or len(template) > RESULT:
        raise LocalError("give a text of at most %d characters" % RESULT)
    found, at, plain = [], 0, ""
    while at < len(template):
        character = template[at]
        if template[at:at + 2] in ("{{", "}}"):
            plain += character
            at += 2
        elif character == "{":
            end = template.find("}", at)
            if end < 0:
                raise LocalError("a { in %r is not closed; write {{ for the sign itself" % template[:60])
            parse(template[at + 1:end])
            found += [plain, (template[at + 1:end],)]
            plain, at = "", end + 1
        elif character == "}":
            raise LocalError("a } in %r is not opened; write }} for the sign itself" % template[:60])
        else:
            plain += character
            at += 1
    return [piece for piece in found + [plain] if piece != ""]


def fill(template, look, change=None):
    """A text with its {expressions} worked out.  change: what is done to each value's text (quoting in addresses)."""
    if "{" not in template and "}" not in template:
        return template
    said = ""
    for piece in pieces(template):
        if isinstance(piece, tuple):
            value = text(evaluate(piece[0], look))
            said += change(value) if change else value
        else:
            said += piece
    return _short(said)


def worked_out(value, look):
    """A value of a node: a text that is one {expression} gives its value, another text is filled, lists and objects part by part."""
    if isinstance(value, str):
        if value[:1] == "{" and value[-1:] == "}" and value[1:2] != "{" and "{" not in value[1:]:
            return evaluate(value[1:-1], look)
        return fill(value, look)
    if isinstance(value, list):
        return [worked_out(each, look) for each in value]
    if isinstance(value, dict):
        return dict([(name, worked_out(value[name], look)) for name in value])
    return value
