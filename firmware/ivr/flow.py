"""IVR flows: what they are made of, and the check before one goes live.

A flow is data, versioned, one JSON object:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {name: node, ...}}

Until a "language" node has chosen one, every prompt is spoken in all languages
of the flow, one after the other.  Nodes, by "type" (keys marked ? may be left out):

    play      prompts, barge_in? (true), next          a digit ends it and is kept for the next menu
    menu      prompts, choices {digit: node}, timeout_s? (5), attempts? (3: so many rounds without a
              digit), wrong_attempts? (5), invalid? (["invalid"]), no_input? (["no_input"]),
              exhausted node, barge_in? (true)
    language  language, next                           from here on only this language
    queue     queue, overflow? node (else "goodbye" is said and the call released)
    agent     agent, failed? node                      rings this agent;  no answer or busy: failed
    line      line, failed? node                       the same with a line
    hangup    prompts?, cause? (16)

The demo flow of the first call:

    {"version": 1, "languages": ["zh_CN", "en"], "start": "greeting", "nodes": {
      "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
      "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": "operator",
               "choices": {"1": "sales", "2": "service", "0": "operator"}},
      "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
      "service": {"type": "queue", "queue": "service", "overflow": "goodbye"},
      "operator": {"type": "queue", "queue": "operator", "overflow": "goodbye"},
      "goodbye": {"type": "hangup", "prompts": ["goodbye"]}}}

check(flow, path, queues, agents, lines) -> list of ConfigError, empty if all is well.
"""
