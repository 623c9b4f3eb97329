"""The kinds of nodes of a flow: what each must and may have, and which keys lead on.

TYPES[kind] has must (keys), may {key: default}, next (keys that name a following node), and act (of those, the ones that
are only taken after an act of the caller or of somebody who talks with the caller).  Beside next, "choices" {key: node} and
"cases" [{if, next}] lead on.  KINDS says what a key's value is, for the check (ivr/flow.py), the text form (ivr/text.py) and the pages.

    play        prompts, next, barge_in                          a digit ends it and is kept for the next menu or collect
    menu        prompts, choices {digit: node}, exhausted, timeout_s, attempts (rounds without a digit), wrong_attempts, invalid, no_input, barge_in
    collect     prompts, into, next, failed, length (most digits), min_length, terminator, first_timeout_s, digit_timeout_s,
                check (expression over value), attempts, invalid, no_input, barge_in, erase (key that begins anew), secret
    survey      prompts, survey, question, choices ("12345": digits that count), next, failed, attempts, timeout_s, invalid, no_input
    language    language, next
    branch      cases [{if: expression, next}] or value and choices {value: node}; otherwise
    set         variables {name: value}, next
    http        service, path, method, query {}, headers {}, body, take {name: expression}, into, timeout_s, statuses, repeat,
                prompts (heard meanwhile), next, failed          the answer's JSON is body in take, its number status
    sql         service, statement, parameters {}, take, into, most_rows, timeout_s, repeat, prompts, next, failed, empty
    recognize   service, prompts, into, confidence (a variable), least (confidence below which it counts as failed), phrases (what may be said), next,
                failed, pressed (where a key leads; without, keys are kept), timeout_s (of silence after the prompts), most_s (in all), barge_in
                (speech ends the prompts), secret              what the caller says as text
    speak       service, text, voice, next, failed, timeout_s (until the first sound), most_s, barge_in         a text is spoken by a service
    fax         document, next, failed, role, station, header, into, most_s      the switch is a fax machine on this call and sends a stored document; role
                calls: the caller has pressed start to receive (the usual way); answers: the caller's machine polls; receives: the caller sends, and what
                comes is kept as a document whose name begins with `document`, here without {variables} (inbox-c12-q1); into: document, pages, rate, ecm, station
    send_fax    document, next, failed, number (else the caller's), station, header, into      the box calls a number and sends the document, beside
                this call and as often as the configuration's fax section says; next: it will be tried; into: {fax: its id}; failed: it may not
    queue       queue, overflow, priority, skills, after         after: where the caller goes on when the agent has hung up
    agent, line agent | line, failed, after
    outside     number, failed, ring_s, after
    record      into, prompts, most_s, keys (that end it), beep, least_s, next, failed
    conference  room, most, tones (left out: as configured), failed  callers of the same room talk together
    voicemail   mailbox                                          the caller leaves a message there; the call ends
    callback    queue, number (else the caller's), failed        the queue calls back in the caller's place; the call ends
    flow        flow, next                                       another flow, until its return or its end
    return
    agi         service, script, arguments [], prompts, timeout_s, next, failed, hangup      FastAGI
    cti         application, data {}, timeout_s, next, failed    a program on the CTI link or REST has the call
    hangup      prompts, cause

A list of prompts has names of prompts and spoken values ({"money": "{balance}"}, ivr/spoken.py), {"silence_ms": n} and {"recording":
variable of a record node}.  Texts may have {expressions} in them (ivr/expression.py) where KINDS says text, value or number.
"""

_ROUNDS = {"attempts": 3, "invalid": ["invalid"], "no_input": ["no_input"], "barge_in": True}
_REQUEST = {"take": None, "into": None, "timeout_s": 5, "repeat": None, "prompts": []}

TYPES = {
    "play": {"must": ("prompts", "next"), "may": {"barge_in": True}, "next": ("next",), "act": ()},
    "menu": {"must": ("prompts", "choices", "exhausted"), "may": dict(_ROUNDS, timeout_s=5, wrong_attempts=5), "next": ("exhausted",), "act": ("choices",)},
    "collect": {"must": ("prompts", "into", "next", "failed"),
                "may": dict(_ROUNDS, length=20, min_length=1, terminator="#", first_timeout_s=5, digit_timeout_s=4, check=None, erase="*", secret=False),
                "next": ("next", "failed"), "act": ("next",)},
    "survey": {"must": ("prompts", "survey", "question", "choices", "next"), "may": dict(_ROUNDS, timeout_s=5, failed=None),
               "next": ("next", "failed"), "act": ("next",)},
    "language": {"must": ("language", "next"), "may": {}, "next": ("next",), "act": ()},
    "branch": {"must": ("otherwise",), "may": {"cases": [], "value": None, "choices": {}}, "next": ("otherwise",), "act": ()},
    "set": {"must": ("variables", "next"), "may": {"failed": None}, "next": ("next", "failed"), "act": ()},
    "http": {"must": ("service", "path", "next", "failed"),
             "may": dict(_REQUEST, method="GET", query=None, headers=None, body=None, statuses=[200, 201, 202, 204]),
             "next": ("next", "failed"), "act": ()},
    "sql": {"must": ("service", "statement", "next", "failed"), "may": dict(_REQUEST, parameters=None, most_rows=10, empty=None),
            "next": ("next", "failed", "empty"), "act": ()},
    "recognize": {"must": ("service", "into", "next", "failed"),
                  "may": {"prompts": [], "confidence": None, "least": 0, "phrases": [], "pressed": None, "timeout_s": 6, "most_s": 60, "barge_in": True,
                          "secret": False},
                  "next": ("next", "failed", "pressed"), "act": ("next", "pressed")},
    "speak": {"must": ("service", "text", "next", "failed"), "may": {"voice": None, "timeout_s": 5, "most_s": 120, "barge_in": True},
              "next": ("next", "failed"), "act": ()},
    "fax": {"must": ("document", "next", "failed"), "may": {"role": "calls", "station": "", "header": "", "into": None, "most_s": 900},
            "next": ("next", "failed"), "act": ("next",)},
    "send_fax": {"must": ("document", "next", "failed"), "may": {"number": None, "station": "", "header": "", "into": None}, "next": ("next", "failed"), "act": ()},
    "queue": {"must": ("queue",), "may": {"overflow": None, "priority": None, "skills": None, "after": None}, "next": ("overflow", "after"),
              "act": ("overflow", "after")},
    "agent": {"must": ("agent",), "may": {"failed": None, "after": None}, "next": ("failed", "after"), "act": ("after",)},
    "line": {"must": ("line",), "may": {"failed": None, "after": None}, "next": ("failed", "after"), "act": ("after",)},
    "outside": {"must": ("number",), "may": {"failed": None, "ring_s": 60, "after": None}, "next": ("failed", "after"), "act": ("after",)},
    "record": {"must": ("into", "next", "failed"), "may": {"prompts": [], "most_s": 120, "least_s": 1, "keys": "#", "beep": True},
               "next": ("next", "failed"), "act": ()},
    "conference": {"must": ("room",), "may": {"most": 8, "tones": None, "failed": None}, "next": ("failed",), "act": ()},
    "voicemail": {"must": ("mailbox",), "may": {}, "next": (), "act": ()},
    "callback": {"must": ("queue",), "may": {"number": None, "failed": None}, "next": ("failed",), "act": ()},
    "flow": {"must": ("flow", "next"), "may": {}, "next": ("next",), "act": ()},
    "return": {"must": (), "may": {}, "next": (), "act": ()},
    "agi": {"must": ("service", "next", "failed"), "may": {"script": "", "arguments": [], "timeout_s": 60}, "next": ("next", "failed"), "act": ("next",)},
    "cti": {"must": ("application", "next", "failed"), "may": {"data": None, "timeout_s": 60}, "next": ("next", "failed"), "act": ("next",)},
    "hangup": {"must": (), "may": {"prompts": [], "cause": 16}, "next": (), "act": ()},
}
# Nodes at which the caller waits for something else than the flow: a ring of edges through them is none.
WAITING = ("queue",)
# Nodes that pass at once, or fail at once, and by which keys.
SILENT = {"language": ("next",), "agent": ("failed",), "line": ("failed",), "outside": ("failed",), "callback": ("failed",), "branch": ("otherwise",), "set": ("next", "failed"), "flow": ("next",), "send_fax": ("next", "failed")}
# Nodes that wait for keys; what is typed ahead of them is kept.
KEYED = ("menu", "collect", "survey")
# What is typed while these are passed comes to the node that follows.
PASSED = ("play", "language", "branch", "set", "http", "sql", "flow", "return", "record", "speak", "send_fax")
# Nodes whose service gets the caller's sound, or gives some.
SPEECH = ("recognize", "speak", "fax")

# key: (what its value is, ...); a pair (node, key) overrides.
KINDS = {
    "prompts": ("prompts",), "invalid": ("prompts",), "no_input": ("prompts",),
    "barge_in": ("switch",), "beep": ("switch",), "secret": ("switch",), "repeat": ("switch or none",), "tones": ("switch or none",),
    "attempts": ("whole", 1, 100), "wrong_attempts": ("whole", 1, 100), "timeout_s": ("seconds", 120), "first_timeout_s": ("seconds", 120),
    "digit_timeout_s": ("seconds", 60), ("agi", "timeout_s"): ("seconds", 3600), ("cti", "timeout_s"): ("seconds", 3600),
    "length": ("whole", 1, 32), "min_length": ("whole", 1, 32), "terminator": ("key",), "erase": ("key",), "keys": ("keys",),
    "check": ("expression",), "into": ("name",), "language": ("language",), "cases": ("cases",), "value": ("expression",), "choices": ("choices",),
    ("survey", "choices"): ("keys",), "survey": ("word",), "question": ("word",), "variables": ("values",),
    "confidence": ("name",), "least": ("share",), "phrases": ("texts",), ("speak", "text"): ("text",), "voice": ("word",),
    "document": ("text",), "role": ("one of", "calls", "answers", "receives"), "station": ("text",), "header": ("text",), ("fax", "most_s"): ("whole", 60, 3600),
    ("recognize", "most_s"): ("whole", 1, 600), ("speak", "most_s"): ("whole", 1, 600),
    "service": ("service",), "path": ("path",), "method": ("one of", "GET", "POST", "PUT", "PATCH", "DELETE"), "query": ("values",), "headers": ("values",),
    "body": ("value",), "statuses": ("statuses",), "take": ("expressions",), "statement": ("statement",), "parameters": ("values",),
    "most_rows": ("whole", 1, 100), "queue": ("queue",), "priority": ("priority",), "skills": ("skills",), "agent": ("agent",), "line": ("line",),
    "number": ("number",), "ring_s": ("whole", 5, 260), "most_s": ("whole", 1, 3600), "least_s": ("whole", 0, 60), "mailbox": ("mailbox",), "room": ("text",), "most": ("whole", 2, 32),
    "flow": ("flow",), "script": ("text",), "arguments": ("texts",), "application": ("word",), "data": ("values",),
    "cause": ("whole", 1, 127),
}
# Where a secret entry may go; everywhere else it is as if it had never been entered.
OPEN_TO_SECRETS = (("http", "body"), ("sql", "parameters"), ("branch", "cases"), ("branch", "value"), ("collect", "check"))


def is_secret(node):
    """Whether what the caller enters or says at a node is written nowhere."""
    return node["type"] in ("collect", "recognize") and bool(option(node, "secret"))


def option(node, name):
    """Value of a key of a node, its default if it is left out."""
    if name in node:
        return node[name]
    return TYPES[node["type"]]["may"].get(name)


def kind_of(node_type, key):
    """What the value of a key is: a row of KINDS, None for a key that leads on."""
    if (node_type, key) in KINDS:
        return KINDS[(node_type, key)]
    return None if key in TYPES[node_type]["next"] else KINDS.get(key)


def edges(node):
    """[(name of the edge, node that follows, whether only an act of a person leads there)], in a fixed order."""
    rule = TYPES[node["type"]]
    found = []
    for key in rule["next"]:
        if isinstance(node.get(key), str):
            found.append((key, node[key], key in rule["act"]))
    if isinstance(node.get("choices"), dict):
        for choice in sorted(node["choices"]):
            found.append(("choices." + choice, node["choices"][choice], "choices" in rule["act"]))
    cases = node.get("cases")
    for index in range(len(cases) if isinstance(cases, list) else 0):
        found.append(("cases[%d]" % index, cases[index].get("next"), False))
    return found
