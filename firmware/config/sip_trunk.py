"""The settings of a SIP trunk, and what they must not contradict."""

import ipaddress

from firmware.call.number_plan import check_pattern
from firmware.config import sip
from firmware.config.field import Host, Number, Rows, Secret, Section, Several, Switch, Text, Whole, is_name
from firmware.errors import ConfigError

TRANSPORTS = ("udp", "tcp", "tls", "auto")
HEADER = r"[A-Za-z][A-Za-z0-9-]{1,63}"
CREDENTIAL = {"pattern": r"[!-~]{0,128}", "hint": "use printable ASCII without blanks, at most 128 characters", "default": ""}

# What makes a message what it is: neither passed nor set by rule
RESERVED = ("via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route", "path", "service-route", "require",
            "proxy-require", "supported", "unsupported", "allow", "allow-events", "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate",
            "authentication-info", "content-type", "content-length", "content-encoding", "content-disposition", "mime-version", "expires", "min-expires",
            "session-expires", "min-se", "rack", "rseq", "replaces", "refer-to", "referred-by", "event", "subscription-state", "user-agent", "server",
            "p-asserted-identity", "p-preferred-identity", "privacy", "remote-party-id", "diversion", "history-info", "p-charging-vector", "user-to-user", "reason")

ADDRESS = Section("where the far end listens", {
    "address": Host("the address of the carrier, proxy or gateway, or its name in DNS (RFC 3263)", required=True),
    "port": Whole("its port; 0: 5060, with tls 5061; of a name, what its SRV records say", 0, 65535, default=0),
    "transport": Text("how it is reached; auto: as the NAPTR or SRV records of its name say", choices=TRANSPORTS, default="udp")})

RULE = Section("how a number that comes in is rewritten", {
    "number": Number("which numbers: x any digit, . at the end any further digits; the longest match wins",
                   pattern=r"\+?[0-9*#x]{1,32}\.?|\+?\.", hint="for example +86. or 021xxxxxxxx", required=True),
    "strip": Whole("how many characters are taken away, the + counts as one", 0, 32, default=0),
    "prefix": Number("digits put before what is left", pattern=r"[0-9*#]{0,20}", hint="give digits only", default="")})

SIP_TRUNK = Section("a trunk over IP", {
    "name": Text("the name on pages, in the CDR and in the log", pattern=r"[A-Za-z][A-Za-z0-9_.-]{0,31}",
                 hint="use letters, digits, dot, dash and underline, at most 32, a letter first", required=True),
    "label": Text("what pages show", default=""),
    "trunk_group": Text("the trunk group its calls belong to", pattern=r"[A-Za-z0-9_.-]{1,32}", required=True),
    "enabled": Switch("in service", default=True),
    "kind": Text("register: we register there with user and password; peer: the far end knows us by our address; pbx: a PBX registers here for all "
                 "its numbers (RFC 6140), with incoming_user and incoming_password", choices=("register", "peer", "pbx"), default="peer"),
    "addresses": Rows("where the far end listens, the first choice first; the next one takes over while one is dead; of a pbx none",
                      ADDRESS, most=8, default=[]),
    "bulk": Switch("register for all our numbers at once (RFC 6140) where kind is register", default=False),
    "flows": Switch("register over each of its addresses at once, edge proxies of one registrar (RFC 5626): calls go over one that stands, and one that is "
                    "lost is registered anew", default=False),
    "flow_again_s": Whole("after a lost flow: the first pause, three times as long while another one stands; it doubles with each failure", 1, 600, unit="s",
                          default=30),
    "sources": Rows("further networks its calls come from", Section("a network", {
        "network": Text("an address, or a network such as 203.0.113.0/24", pattern=r"[0-9A-Fa-f.:/]{2,49}", required=True)}), most=64),
    "channels": Whole("how many calls at a time", 1, 2000, default=30),
    "domain": Text("the name of the far end in addresses; empty: the address in use", pattern=r"[A-Za-z0-9._-]{0,128}", default=""),
    "user": Text("the user name that answers its challenges, and that registers", **CREDENTIAL),
    "password": Secret("the password for it", **CREDENTIAL),
    "incoming_user": Text("the user name that we demand of its calls; empty: its address is enough", **CREDENTIAL),
    "incoming_password": Secret("the password for it", **CREDENTIAL),
    "register_s": Whole("for how long we register", 60, 86400, unit="s", default=600),
    "options_s": Whole("how often each of its addresses is asked whether it is there; 0: never", 0, 3600, unit="s", default=30),
    "from": Text("what From names: the caller's number, or our user name there", choices=("number", "user"), default="number"),
    "identity": Text("where the caller's number is vouched for: P-Asserted-Identity, P-Preferred-Identity, Remote-Party-ID or nowhere",
                     choices=("asserted", "preferred", "remote_party", "none"), default="asserted"),
    "trusted": Switch("believe the identities it sends, and tell it numbers that are withheld (RFC 3325)", default=True),
    "verify": Switch("demand with tls a certificate that is valid and bears its domain or address", default=True),
    "plus": Switch("write international numbers with a +", default=True),
    "encryption": Text("of its sound, by SRTP with keys in the signalling (SDES), which should go over tls then: off, optional (where the far "
                       "end offers it), or required (no call without)", choices=("off", "optional", "required"), default="off"),
    "codecs": Several("of its sound, the best first; all but PCMA and PCMU are transcoded here, which costs time of the tick; G729 is passed on between "
                      "two SIP legs that have it and needs another one beside it", sip.CODECS,
                      ordered=True, default=["PCMA", "PCMU"]),
    "g726_upper_first": Switch("its G726-32 has the first code in the upper half of an octet, as AAL2-G726-32 has it and RFC 3551 has not "
                               "(baresip, and others on spandsp)", default=False),
    "t38": sip.T38,
    "dtmf": sip.DTMF,
    "dead_s": sip.DEAD,
    "called_in": Text("where the number that was called stands in its calls", choices=("request", "to"), default="request"),
    "called_rules": Rows("how called numbers that come in are rewritten; without a rule a + is taken away", RULE, key="number", most=64),
    "caller_rules": Rows("how callers' numbers that come in are rewritten; without a rule a + is taken away", RULE, key="number", most=64),
    "diversion": Text("how it is told that a call was forwarded to it", choices=("diversion", "history", "both", "none"),
                      default="diversion"),
    "reliable": Text("reliable provisional responses (100rel, RFC 3262)", choices=("off", "supported", "required"), default="supported"),
    "pass_headers": Rows("further headers that its calls bring along to another trunk which names them too", Section("a header", {
        "name": Text("its name", pattern=HEADER, hint="give the whole name of a header", required=True)}), key="name", most=16),
    "set_headers": Rows("headers that each call to it gets, such as P-Access-Network-Info (RFC 7315 4.4)", Section("a header", {
        "name": Text("its name", pattern=HEADER, hint="give the whole name of a header", required=True),
        "value": Text("its value", pattern=r"[ -~]{1,256}", hint="use printable ASCII, at most 256 characters", required=True)}), most=16),
    "charging": Text("our name (orig-ioi) in the P-Charging-Vector of calls to it (RFC 7315 4.6); empty: without that header",
                     pattern=r"[A-Za-z0-9._-]{0,64}", default=""),
    "session_s": Whole("after how long a session is refreshed, or ended where the far end is gone (RFC 4028), from 90; 0: we do not ask for it",
                       0, 86400, unit="s", default=1800)})


def check(result, groups):
    """ConfigErrors of the checked rows of "sip_trunks".  groups: names of the trunk groups."""
    errors = []
    registered, taken = {}, {line["name"]: "a line" for line in result["lines"]}
    for index, row in enumerate(result["sip_trunks"]):
        here = f"sip_trunks[{index}]"
        if row["trunk_group"] not in groups:
            errors.append(ConfigError(f"{here}.trunk_group", f"there is no trunk group {row['trunk_group']!r}; add it or choose one of "
                                      f"{', '.join(sorted(groups)) or '(none)'}"))
        if row["kind"] == "pbx":
            if row["addresses"]:
                errors.append(ConfigError(f"{here}.addresses", "are given, but a pbx is where it registers from; leave them out"))
            if not row["incoming_user"]:
                errors.append(ConfigError(f"{here}.incoming_user", "is missing; a pbx shows user and password when it registers"))
            elif row["incoming_user"] in taken:
                errors.append(ConfigError(f"{here}.incoming_user", f"{row['incoming_user']!r} is {taken[row['incoming_user']]} already; give each its own"))
            taken.setdefault(row["incoming_user"], f"sip_trunks[{index}]")
        elif not row["addresses"]:
            errors.append(ConfigError(f"{here}.addresses", "is empty; give at least one address of the far end"))
        for number, entry in enumerate(row["addresses"]):
            if entry["transport"] == "auto" and not is_name(entry["address"]):
                errors.append(ConfigError(f"{here}.addresses[{number}].transport", "is auto, which only a name in DNS can answer; give udp, tcp or tls"))
        if row["kind"] == "register" and not (row["user"] and row["password"]):
            errors.append(ConfigError(f"{here}.user", "is missing, or its password; a trunk that registers needs both"))
        if bool(row["incoming_user"]) != bool(row["incoming_password"]):
            errors.append(ConfigError(f"{here}.incoming_password", "and incoming_user go together; give both, or none"))
        if row["bulk"] and row["kind"] != "register":
            errors.append(ConfigError(f"{here}.bulk", "belongs to a trunk that registers; choose kind register, or switch it off"))
        if row["flows"] and row["kind"] != "register":
            errors.append(ConfigError(f"{here}.flows", "belong to a trunk that registers; choose kind register, or switch it off"))
        for part in ("pass_headers", "set_headers"):
            for number, rule in enumerate(row[part]):
                if rule["name"].lower() in RESERVED:
                    errors.append(ConfigError(f"{here}.{part}[{number}].name", f"{rule['name']!r} is a header that the switch writes itself; choose others"))
        if row["from"] == "user" and not row["user"]:
            errors.append(ConfigError(f"{here}.from", "names the user, but user is empty; give one, or choose number"))
        if 0 < row["session_s"] < 90:
            errors.append(ConfigError(f"{here}.session_s", "is below 90 s, the least that RFC 4028 allows; give 90 or more, or 0"))
        for number, source in enumerate(row["sources"]):
            try:
                ipaddress.ip_network(source["network"], strict=False)
            except ValueError:
                errors.append(ConfigError(f"{here}.sources[{number}].network",
                                          f"{source['network']!r} is no address and no network; give for example 203.0.113.0/24"))
        for part in ("called_rules", "caller_rules"):
            for number, rule in enumerate(row[part]):
                fixed = rule["number"].rstrip(".")
                if fixed not in ("", "+"):
                    try:
                        check_pattern(rule["number"], f"{here}.{part}[{number}].number")
                    except ConfigError as error:
                        errors.append(error)
                if rule["strip"] > len(fixed):
                    errors.append(ConfigError(f"{here}.{part}[{number}].strip", f"takes {rule['strip']} characters away, but the number "
                                              f"may have only {len(fixed)}; take away less"))
        if row["kind"] == "register" and row["enabled"]:
            for address in row["addresses"]:
                mark = (row["user"], address["address"], address["port"])
                if mark in registered and registered[mark] != index:
                    errors.append(ConfigError(f"{here}.user", f"{row['user']!r} registers there for sip_trunks[{registered[mark]}] already; "
                                              "give each its own"))
                registered[mark] = index
    return errors
