"""What a node asks of a service, and what it takes of the answer.

    of(node, visit)             the request, plain data but for Hidden parts
        http    {service, method, path, query [[name, text]], headers [[name, text]], body (JSON value, Hidden or None), timeout_s}
        sql     {service, statement, parameters {name: value or Hidden}, most_rows, timeout_s}
        recognize   {service, language, phrases [text], first_s}      speak   {service, language, text, voice, first_s}
        fax     {document, role, station, header, timeout_s}     send_fax    {document, number (empty: the caller's), station, header}
        agi     {service, script, arguments [text], timeout_s, variables {}}     cti {application, data {}, timeout_s}
    taken(node, visit, result)  (name of the next node, {variable: value}) of an answer: http {status, body}, sql {rows, count}, recognize {text, confidence},
                                fax {pages, rate, ecm, station, document (received)}, send_fax {fax}

Where secret entries are in it a value is Hidden: it shows itself to nobody but the adapter that sends it.
"""

from firmware.errors import LocalError
from firmware.ivr import expression
from firmware.ivr.nodes import option

SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"     # RFC 3986 2.3
DOCUMENT = SAFE[:-1]            # all of them but the tilde
READING = ("select", "with", "show", "values", "table", "explain")


class Hidden:
    """A value that no log, journal or error message shows.  reveal() -> the value."""

    __slots__ = ("_value",)

    def __init__(self, value):
        self._value = value

    def reveal(self):
        """The value, for the wire only."""
        return self._value

    def __repr__(self):
        return "(hidden)"

    __str__ = __repr__


def reveal(value):
    """A value that may be Hidden."""
    return value.reveal() if isinstance(value, Hidden) else value


def of(node, visit):
    """The request of a node.  Raises LocalError where an expression cannot be worked out."""
    kind, look = node["type"], visit.look
    limit = {"service": node.get("service"), "timeout_s": option(node, "timeout_s")}
    if kind in ("fax", "send_fax"):
        said = dict([(name, expression.fill(option(node, name), look)) for name in ("document", "station", "header")])
        if kind == "fax" and option(node, "role") == "receives":
            said["document"] = node["document"]         # fixed, in flows that nobody has checked, too
        if not is_document(said["document"]):
            raise LocalError("%r is no name of a document" % said["document"][:40])
        if kind == "send_fax":
            return dict(said, number=expression.fill(option(node, "number") or "", look))
        return dict(said, role=option(node, "role"), timeout_s=option(node, "most_s"))
    if kind == "http":
        limit.update(method=option(node, "method"), path=expression.fill(node["path"], look, quoted),
                     query=_pairs(option(node, "query"), look), headers=_pairs(option(node, "headers"), look),
                     body=_secretly(option(node, "body"), visit))
    elif kind == "sql":
        parameters = option(node, "parameters") or {}
        limit.update(statement=node["statement"], most_rows=option(node, "most_rows"),
                     parameters=dict([(name, _plain(_secretly(parameters[name], visit))) for name in sorted(parameters)]))
    elif kind == "recognize":
        limit.update(language=_language(visit), phrases=[expression.fill(each, look) for each in option(node, "phrases")], timeout_s=option(node, "most_s"))
    elif kind == "speak":
        text = expression.fill(node["text"], look)
        if not text.strip():
            raise LocalError("there is nothing to speak: the text is empty")
        limit.update(language=_language(visit), text=text, voice=option(node, "voice"), first_s=option(node, "timeout_s"), timeout_s=option(node, "most_s"))
    elif kind == "agi":
        limit.update(script=expression.fill(option(node, "script"), look, quoted), language=_language(visit),
                     arguments=[expression.fill(each, look) for each in option(node, "arguments")])
    else:
        limit.update(application=node["application"], data=expression.worked_out(option(node, "data") or {}, look))
    return limit


def is_document(name):
    """Whether a text may name a stored document: 1 to 64 letters, digits, dots, dashes and underlines, no dot first."""
    return 0 < len(name) <= 64 and name[0] != "." and False not in [character in DOCUMENT for character in name]


def taken(node, visit, result):
    """See the module's docstring.  Raises LocalError: the answer is none that the flow takes."""
    found = {}
    if node["type"] == "recognize":
        sure = result["confidence"] if result["confidence"] is not None else 1
        if not result["text"].strip() or sure < option(node, "least"):
            raise LocalError("nothing was understood well enough (confidence %s)" % sure)
        found[node["into"]] = result["text"]
        if option(node, "confidence"):
            found[option(node, "confidence")] = sure
        return node["next"], found
    if node["type"] in ("fax", "send_fax"):
        if option(node, "into"):
            found[node["into"]] = result
        return node["next"], found
    if node["type"] == "http":
        if result["status"] not in option(node, "statuses"):
            raise LocalError("the service answered with status %s" % result["status"])
        known, whole = {"status": result["status"], "body": result["body"]}, result["body"]
    else:
        rows = result["rows"]
        if not rows and option(node, "empty") is not None:
            return node["empty"], found
        known, whole = {"rows": rows, "row": rows[0] if rows else None, "count": result["count"]}, rows
    take = option(node, "take") or {}
    for name in sorted(take):
        found[name] = expression.evaluate(take[name], lambda what: known[what] if what in known else visit.look(what))
    if option(node, "into"):
        found[node["into"]] = whole
    return node["next"], found


def names(node):
    """Names of variables in the parts of a node that may hold secrets."""
    found, kind = {}, node["type"]
    parts = []
    if kind == "http":
        parts = [option(node, "body")]
    elif kind == "sql":
        parts = [option(node, "parameters")]
    elif kind == "branch":
        for source in [case["if"] for case in option(node, "cases")] + ([option(node, "value")] if option(node, "value") else []):
            for name in expression.names(source):
                found[name] = True
    for part in parts:
        _names(part, found)
    return sorted(found)


def may_repeat(node):
    """Whether a question may be asked again after a restart: the node's word, else whether it only reads."""
    if option(node, "repeat") is not None:
        return option(node, "repeat")
    if node["type"] == "sql":
        return node["statement"].split(None, 1)[0].lower() in READING
    return node["type"] != "http" or option(node, "method") == "GET"


def quoted(text):
    """A text as one part of an address (RFC 3986 2.1)."""
    said = ""
    for octet in text.encode("utf-8"):
        said += chr(octet) if chr(octet) in SAFE else "%%%02X" % octet
    return said


def _language(visit):
    flow = visit.flow()
    return visit.at["language"] or flow["languages"][0]


def _pairs(values, look):
    pairs = []
    for name in sorted(values or {}):
        text = expression.text(expression.worked_out(values[name], look))
        if False in [ord(character) >= 32 and ord(character) != 127 for character in text]:
            raise LocalError("the value of %s has a control character" % name)
        pairs.append([name, text])
    return pairs


def _secretly(value, visit):
    """A value worked out with the secrets; Hidden where one is in it."""
    found = {}
    _names(value, found)
    worked = expression.worked_out(value, visit.look_secret)
    for name in found:
        if name in visit.at["asked"]:
            return Hidden(worked)
    return worked


def _plain(value):
    """A parameter of a statement: no list or object."""
    if isinstance(value, (list, dict)):
        raise LocalError("a list or an object is no parameter of a statement")
    return value


def _names(value, found):
    if isinstance(value, str):
        for piece in expression.pieces(value):
            if isinstance(piece, tuple):
                for name in expression.names(piece[0]):
                    found[name] = True
    elif isinstance(value, list):
        for each in value:
            _names(each, found)
    elif isinstance(value, dict):
        for name in value:
            _names(value[name], found)
