"""The configuration that a new box and the demonstration start with."""

AGENTS = ("1001", "1002", "1003", "1004")


def menu_flow():
    """The demonstration's flow: greeting in Mandarin and English, a menu, three queues."""
    return {
        "version": 1,
        "languages": ["zh_CN", "en"],
        "start": "greeting",
        "nodes": {
            "greeting": {"type": "play", "prompts": ["greeting"], "next": "menu"},
            "menu": {"type": "menu", "prompts": ["menu"], "timeout_s": 5, "attempts": 3, "exhausted": "operator",
                     "choices": {"1": "sales", "2": "service", "0": "operator"}},
            "sales": {"type": "queue", "queue": "sales", "overflow": "goodbye"},
            "service": {"type": "queue", "queue": "service", "overflow": "goodbye"},
            "operator": {"type": "queue", "queue": "operator", "overflow": "goodbye"},
            "goodbye": {"type": "hangup", "prompts": ["goodbye"]},
        },
    }


def configuration(passwords):
    """The demonstration's configuration.

    passwords: {line name: password}, one for each of AGENTS.  Returns plain data."""
    return {
        "site": {"name": "Strowger demo", "country": "cn", "timezone": "Asia/Shanghai",
                 "languages": ["zh_CN", "en"]},
        "spans": [
            {"span": 1, "crc4": True, "trunk_group": "carrier"},
            {"span": 2, "crc4": False, "trunk_group": "carrier"},
        ],
        "trunk_groups": [{"name": "carrier", "label": "Carrier", "selection": "descending", "caller_number": "02150801000"}],
        "numbers": [{"number": "02150801000", "label": "400 800 1000", "application": "ivr", "target": "main"}],
        "routes": [
            *({"number": number, "label": "Emergency", "class": "emergency", "choices": [{"trunk_group": "carrier"}]}
              for number in ("110", "119", "120", "122")),
            {"number": "9.", "label": "Outside", "class": "national", "choices": [{"trunk_group": "carrier", "strip": 1}]},
            {"number": "900.", "label": "International", "class": "international",
             "choices": [{"trunk_group": "carrier", "strip": 1}]}],
        "feature_codes": [{"code": code, "action": action} for code, action in (
            ("*40", "log_out"), ("*41", "log_in"), ("*42", "available"), ("*43", "break"), ("*45", "wrap_up_end"),
            ("*46", "wrap_up_extend"), ("*8", "pick_up"), ("*7", "unpark"))],
        "ivr": {"main": menu_flow()},
        "queues": [{"name": "sales", "label": "Sales"}, {"name": "service", "label": "Service"},
                   {"name": "operator", "label": "Operator"}],
        "agents": [{"name": name, "label": f"Agent {name}", "line": name, "initial_status": "available",
                    "queues": [{"queue": queue, "level": 1} for queue in ("sales", "service", "operator")]}
                   for name in AGENTS],
        "lines": [{"name": name, "password": passwords[name]} for name in AGENTS],
    }
