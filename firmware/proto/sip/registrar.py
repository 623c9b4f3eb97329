"""Bindings of lines to contacts.  RFC 3261 10.3; Path: RFC 3327; flows: RFC 5626.

A binding is a plain dict, so that it is persisted as it stands: {"uri", "source": [host, port], "nat",
"expires_ms" (UTC), "call_id", "cseq", "q" (thousandths), "user_agent", "instance", "reg_id", "path": [Route values], "number", "since_ms",
"silent" (no contact to call for now: qualify.py)}.

A telephone that names itself (+sip.instance) has one binding; with reg-id it has one for each of its flows, and is called over one
of them only: the one registered last, the next where that one fails (RFC 5626 6, 5.3).
"""

from firmware.errors import RemoteError
from firmware.proto.sip.dialog import behind_nat
from firmware.proto.sip.headers import Address, parse_address, parse_list
from firmware.proto.sip.text import display, number
from firmware.proto.sip.transport import destination_of
from firmware.proto.sip.uri import parse_uri

SHORT_MS = 3600000               # 10.3 step 7: only expiries below an hour may be called too brief
MOST_PATH = 8                    # ours: proxies between a telephone and us


class Registrar:
    """All bindings.  limits: {"register_min_s", "register_default_s", "register_max_s", "contacts_per_line"}."""

    def __init__(self, limits):
        self.limits = limits
        self.bindings = {}
        self._number = 0

    def restore_line(self, line, record, now_ms):
        """Take the bindings of one line from a dump, without those that expired meanwhile."""
        kept = [dict(binding) for binding in record["bindings"] if binding["expires_ms"] > now_ms]
        for binding in kept:
            self._number = max(self._number, binding["number"])
        if kept:
            self.bindings[line] = kept

    def dump_line(self, line):
        """JSON-able record of a line, or None where it has no binding."""
        bindings = self.bindings.get(line)
        return {"bindings": [dict(binding) for binding in bindings]} if bindings else None

    def contacts(self, line):
        """The bindings that can be called as events tell them, highest q first, then the oldest."""
        return [{"uri": binding["uri"], "source": list(binding["source"]), "expires_ms": binding["expires_ms"],
                 "user_agent": binding["user_agent"]} for binding in self._ordered(line) if not binding.get("silent")]

    def is_silent(self, line):
        """Whether a line is registered and none of its telephones answers."""
        return line in self.bindings and not self.contacts(line)

    def newest(self, line):
        """Number of a line's newest binding, or None."""
        bindings = self.bindings.get(line)
        return max([binding["number"] for binding in bindings]) if bindings else None

    def mark(self, line, uri, silent, before_ms, source=None, way=None):
        """Note that a contact gives no answer, or does again.  before_ms: not one that registered later, or None.
        source: the connection over which it did, or None.  way: (address, [Route values]) of the flow that is meant, where several
        have one Contact.

        Returns True where that changes whether it can be called."""
        rows = self.bindings.get(line, ())
        if way is not None and sum([binding["uri"] == uri for binding in rows]) > 1:
            rows = [binding for binding in rows if self._goes(binding, way)]
        for binding in rows:
            if (binding["uri"] == uri and bool(binding.get("silent")) != silent
                    and (before_ms is None or binding.get("since_ms", 0) <= before_ms)):
                binding["silent"] = silent
                if source is not None and len(source) > 2:
                    binding["source"] = list(source)
                return True
        return False

    def _goes(self, binding, way):
        """Whether a binding is reached that way."""
        path = binding.get("path") or []
        return path == way[1] if path or way[1] else way[0] in [tuple(binding["source"])] + [known[1] for known in self._ways(binding, True)]

    def _ordered(self, line):
        return sorted(self.bindings.get(line, ()), key=lambda binding: (-binding["q"], binding["number"]))

    def targets(self, line, silent_too=False):
        """[(contact URI, address (transport.py), behind NAT, [Route values])] of all contacts of a line."""
        out = []
        for binding in self._ordered(line):
            out.extend(self._ways(binding, silent_too))
        return out

    def _ways(self, binding, silent_too=False):
        out, uri, path = [], binding["uri"], binding.get("path") or []
        if binding.get("silent"):
            door = _door(binding) if silent_too and not path else None
            if door is not None:
                out.append((uri, door, True, []))
            if not silent_too or (len(binding["source"]) > 2 and not path):
                return out
        if path:
            out.append((uri, _edge(binding), False, path))
        elif binding["nat"]:
            out.append((uri, tuple(binding["source"]), True, []))
        else:
            out.append((uri, destination_of(parse_uri(uri)), False, []))
        return out

    def telephones(self, line):
        """What is called: a list for each telephone of its targets, the flow registered last first; the others are for when it fails."""
        out, known = [], {}
        for binding in self._ordered(line):
            ways = self._ways(binding)
            instance = binding["instance"] if binding.get("reg_id") else None
            if instance is None or instance not in known:
                flows = []
                out.append(flows)
                if instance is not None:
                    known[instance] = flows
            else:
                flows = known[instance]
            flows.extend([(binding.get("since_ms", 0), binding["number"]) + way for way in ways])
        for flows in out:
            flows.sort(key=lambda way: (-way[0], -way[1]))
        return [[way[2:] for way in flows] for flows in out if flows]

    def expire(self, line, now_ms):
        """Drop what expired.  Returns True where something did."""
        bindings = self.bindings.get(line, [])
        kept = [binding for binding in bindings if binding["expires_ms"] > now_ms]
        if len(kept) == len(bindings):
            return False
        self._store(line, kept)
        return True

    def remove(self, line):
        """Drop all bindings of a line."""
        self.bindings.pop(line, None)

    def next_expiry_ms(self, line):
        """When the first binding of a line expires, or None."""
        bindings = self.bindings.get(line)
        return min([binding["expires_ms"] for binding in bindings]) if bindings else None

    def _store(self, line, bindings):
        if bindings:
            self.bindings[line] = bindings
        else:
            self.bindings.pop(line, None)

    def register(self, message, line, source, now_ms):
        """Carry out an authenticated REGISTER.

        Returns True where the set of contacts changed.  Raises RemoteError: 400, 423 (its caller
        adds Min-Expires), 500 (out of order, 10.3 step 7).  Nothing changes unless all is right."""
        values = [value.strip() for value in message.all("Contact")]
        if not values:
            return False
        old = self.bindings.get(line, [])
        if "*" in values:
            if len(values) != 1 or number(message.get("Expires") or "", 2 ** 32) != 0:
                raise RemoteError("Contact * needs Expires: 0 and stands alone", status=400)
            for binding in old:
                self._check_order(binding, message)
            self._store(line, [])
            return bool(old)
        bindings = [dict(binding) for binding in old]
        addresses = message.contacts()
        if len(addresses) > self.limits["contacts_per_line"]:
            raise RemoteError("more contacts than a line may have", status=400)
        for address in addresses:
            self._bind(bindings, address, message, source, now_ms)
        while len(bindings) > self.limits["contacts_per_line"]:
            # a telephone that changes its port at each start must not lock its line: the oldest goes
            bindings.pop(0)
        before = _callable(old)
        self._store(line, bindings)
        return before != _callable(bindings)

    def _check_order(self, binding, message):
        if binding["call_id"] == message.call_id and message.cseq[0] <= binding["cseq"]:
            raise RemoteError("REGISTER out of order", status=500)

    def _lifetime_ms(self, address, message):
        limits = self.limits
        text = address.parameter("expires") or message.get("Expires")
        # a malformed or overlong value counts as not given: 10.3 step 6, 20.19
        seconds = None if text is None else number(text.strip(), 2 ** 32 - 1)
        if seconds is None:
            seconds = limits["register_default_s"]
        if seconds and seconds < limits["register_min_s"] and seconds * 1000 < SHORT_MS:
            raise RemoteError("registration interval too brief", status=423)
        return min(seconds, limits["register_max_s"]) * 1000

    def _bind(self, bindings, address, message, source, now_ms):
        uri = parse_uri(address.uri)
        lifetime_ms = self._lifetime_ms(address, message)
        instance, reg_id = address.parameter("+sip.instance"), _reg_id(address, message)
        found = None
        for index, binding in enumerate(bindings):
            if instance and reg_id and binding.get("reg_id") and binding["instance"]:
                same = (binding["instance"], binding["reg_id"]) == (instance, reg_id)        # RFC 5626 6: whatever the Contact
            else:
                same = (instance and binding["instance"] == instance) or parse_uri(binding["uri"]).same_as(uri)
            if same:
                found = index
                break
        if found is not None:
            self._check_order(bindings[found], message)
        if not lifetime_ms:
            if found is not None:
                bindings.pop(found)
            return
        self._number += 1
        path = parse_list(message.all("Path"), "Path")
        if len(path) > MOST_PATH:
            raise RemoteError("more than %d proxies in Path" % MOST_PATH, status=400)
        for value in path:
            parse_uri(parse_address(value, "Path").uri)
        binding = {"uri": address.uri, "source": list(source), "nat": behind_nat(message, source, address.uri), "reg_id": reg_id, "path": path,
                   "expires_ms": now_ms + lifetime_ms, "call_id": message.call_id, "cseq": message.cseq[0],
                   "q": _thousandths(address.parameter("q")), "instance": instance,
                   "user_agent": display((message.get("User-Agent") or "")[:80]), "number": self._number,
                   "since_ms": now_ms, "silent": False}
        if found is None:
            bindings.append(binding)
        else:
            binding["number"] = bindings[found]["number"]
            bindings[found] = binding

    def response_contacts(self, line, now_ms):
        """Contact values of the 200 (10.3 step 8)."""
        out = []
        for binding in self.bindings.get(line, ()):
            parameters = [("expires", "%d" % ((binding["expires_ms"] - now_ms + 999) // 1000))]
            if binding["instance"]:
                parameters.append(("+sip.instance", binding["instance"]))
            if binding.get("reg_id"):
                parameters.append(("reg-id", "%d" % binding["reg_id"]))
            out.append(str(Address(binding["uri"], "", parameters)))
        return out


def _edge(binding):
    """Where requests for a binding with a Path go first: its first proxy, or where the REGISTER came from if that is a name."""
    try:
        return destination_of(parse_uri(parse_address(binding["path"][0], "Path").uri))
    except RemoteError:
        return tuple(binding["source"])


def keeps_flow(message):
    """Whether the way of a REGISTER is one flow that its telephone keeps (RFC 5626 6): straight, or by an edge proxy that says so."""
    if len(message.all("Via")) == 1 and not message.all("Path"):
        return True
    try:
        path = parse_list(message.all("Path"), "Path")
        return bool(path) and parse_uri(parse_address(path[-1], "Path").uri).parameter("ob") is not None
    except RemoteError:
        return False


def asks_flow(message):
    """Whether a REGISTER is one of RFC 5626: it supports outbound, and a Contact has both its names."""
    return ("outbound" in [token.lower() for token in message.tokens("Supported") + message.tokens("Require")]
            and any([address.parameter("reg-id") is not None and address.parameter("+sip.instance") is not None for address in message.contacts()]))


def _reg_id(address, message):
    """The number of a flow, or None: from 1 to 2**31 - 1 (RFC 5626 4.2.1), only with an instance."""
    value = address.parameter("reg-id")
    if value is None or not address.parameter("+sip.instance") or not asks_flow(message):
        return None
    value = number(value, 2 ** 31 - 1)
    if not value:
        raise RemoteError("reg-id is not a number from 1 on", status=400)
    return value


def _door(binding):
    """Where a telephone whose connection is gone may be connected to: its Contact, where that is TCP at the host it came from.

    Over TLS and WebSocket only the telephone opens connections: few have a certificate (RFC 5626 1)."""
    source = binding["source"]
    if len(source) > 2:
        try:
            address = destination_of(parse_uri(binding["uri"]))
        except RemoteError:
            return None
        if len(address) > 2 and address[0] == source[0] and address[2] == source[2] == "TCP":
            return address
    return None


def _callable(bindings):
    return sorted([binding["uri"] for binding in bindings if not binding.get("silent")])


def _thousandths(q):
    """"0.5" to 500; absent or malformed is 1000."""
    whole, _, part = (q or "1").partition(".")
    value = number(whole + (part + "000")[:3], 1000)
    return 1000 if value is None else value
