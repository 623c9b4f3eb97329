"""The settings of the SIP side, telephones and transports."""

from firmware.config.field import ANY_ADDRESS, IMPACT_RESTART, Address, Rows, Section, Switch, Text, Whole
from firmware.errors import ConfigError

STREAMS = {"TCP": "sip-tcp", "TLS": "sip-tls", "WSS": "sip-wss"}      # transport -> name of its socket, as the supervisor hands it on
CODECS = ("PCMA", "PCMU", "G722", "G726-32", "AAL2-G726-32", "OPUS", "G729")     # proto/sdp.py PAYLOADS; a test compares
PATH = r"(/[^\x00]*)?"
T38 = Text("faxes as packets (ITU-T T.38) in place of sound: off; accept, where the far end asks for it; gateway, asked for by us too when a fax machine is "
           "heard (sip.t38_on)", choices=("off", "accept", "gateway"), default="off")
FLASH = Text("what a hook flash of an analog phone does whose gateway passes flashes on: off, nothing; plain, a second call, then a conference, then its end; "
             "keys, a second call, then 1 ends it, 2 changes over, 3 is the conference", choices=("off", "plain", "keys"), default="off")
DTMF = Text("how keys are told, both ways: auto, by events of RFC 4733 where the far end has them, else as tones, and INFO is understood; rfc4733, events only; "
            "info, INFO (application/dtmf-relay) only; inband, tones only. Between two that differ they are translated",
            choices=("auto", "rfc4733", "info", "inband"), default="auto")
DEAD = Whole("after how long without any sound and any answer a call with it is ended; the alarm that its sound is missing comes within 5 s all the same",
             10, 3600, unit="s", default=60)

SIP = {
    "address": Address("the address to listen on", default="127.0.0.1", impact=IMPACT_RESTART),
    "port": Whole("the UDP port, and that of TCP", 1, 65535, default=5060, impact=IMPACT_RESTART),
    "tcp": Switch("listen for TCP too", default=True, impact=IMPACT_RESTART),
    "tls_port": Whole("the port for TLS, usually 5061; 0: none", 0, 65535, default=0, impact=IMPACT_RESTART),
    "wss_port": Whole("the port for secure WebSockets of browser phones; 0: none", 0, 65535, default=0, impact=IMPACT_RESTART),
    "certificate": Text("file with the certificate for TLS; empty: that of the pages", pattern=PATH,
                        hint="give a whole path", default="", impact=IMPACT_RESTART),
    "key": Text("file with its key; empty: that of the pages", pattern=PATH, hint="give a whole path", default="", impact=IMPACT_RESTART),
    "authorities": Text("file with the authorities whose certificates are believed; empty: the system's", pattern=PATH,
                        hint="give a whole path", default="", impact=IMPACT_RESTART),
    "source_rate": Whole("new requests a second that a host without a right password may send; 0: any number", 0, 10000, unit="requests/s",
                         default=100),
    "wrong_passwords": Whole("after so many wrong passwords within 5 minutes nothing of a host is answered; telephones that registered go on; "
                             "0: never", 0, 1000, default=20),
    "ban_s": Whole("for how long", 10, 86400, unit="s", default=600),
    "realm": Text("the realm of the digest authentication", pattern=r"[\w.-]{1,64}", default="strowger"),
    "digest": Text("how passwords of phones are asked for: by MD5, which all know; by SHA-256 (RFC 8760), or by both, SHA-256 first, where a phone "
                   "that does not know it may give up", choices=("md5", "sha256", "both"), default="md5"),
    "name_servers": Rows("who is asked where trunks with a name are; empty: those of the system", Section("a name server", {
        "address": Address("its address", required=True), "port": Whole("its UDP and TCP port", 1, 65535, default=53)}), most=3),
    "publish": Switch("phones may publish their presence and the calls they have elsewhere (RFC 3903)", default=True),
    "t38_on": Text("what makes us ask for T.38: flags, the V.21 preamble of an answering fax machine; ced, its answer tone too; cng, the tone of one that calls, "
                   "too", choices=("flags", "ced", "cng"), default="flags"),
    "t38_recovery": Text("what T.38 does about lost packets: each datagram repeats those before it, or carries sums of them (FEC), or nothing",
                         choices=("redundancy", "fec", "none"), default="redundancy"),
    "t38_depth": Whole("how many packets before it a datagram repeats", 0, 8, default=3),
    "t38_span": Whole("over how many packets a sum of FEC goes", 1, 4, default=3),
    "t38_entries": Whole("how many sums of FEC a datagram carries", 1, 4, default=3),
    "t38_rate": Text("the highest rate of a page by T.38, in bit/s", choices=("4800", "9600", "14400"), default="14400"),
    "t38_ecm": Switch("let the machines correct errors by ECM (T.30 Annex A) over T.38", default=True),
    "t38_datagram": Whole("the longest datagram of T.38 that we say we take", 60, 1400, unit="octets", default=400),
    "qualify_s": Whole("how often each phone is asked whether it is there, in seconds; 0: never", 0, 3600, default=60)}

SECTION = Section("phones", SIP)


def stream_ports(config):
    """{transport: port} of the connections that a configuration wants, without TCP where its port is another part's."""
    sip = config["sip"]
    ports = {"TCP": sip["port"] if sip["tcp"] and not clashes(config) else 0, "TLS": sip["tls_port"], "WSS": sip["wss_port"]}
    return {transport: port for transport, port in ports.items() if port}


def clashes(config):
    """ConfigErrors of a port of TCP that another part uses.  Older versions took such a configuration and left TCP out."""
    errors, sip = [], config["sip"]
    for part in ("web", "cti") if sip["tcp"] else ():
        other = config[part]
        if other["port"] == sip["port"] and (other["address"] == sip["address"]
                                             or other["address"] in ANY_ADDRESS or sip["address"] in ANY_ADDRESS):
            errors.append(ConfigError("sip.port", f"TCP port {sip['port']} is already used by {part}.port on the same address; "
                                      "give each its own, or switch sip.tcp off"))
    return errors


def check(result, allowed=()):
    """ConfigErrors of ports that another part uses, and of half a certificate.  allowed: clashes() that are no error; None: all."""
    errors, sip = [], result["sip"]
    if allowed is not None:
        known = [str(error) for error in allowed]
        errors += [error for error in clashes(result) if str(error) not in known]
    taken = {result[part]["port"]: f"{part}.port" for part in ("web", "cti")}
    for name, port in (("tls_port", sip["tls_port"]), ("wss_port", sip["wss_port"])):
        if not port:
            continue
        if sip["tcp"] and port == sip["port"]:
            errors.append(ConfigError(f"sip.{name}", "is the port of TCP, sip.port; give another one"))
        elif port in taken:
            errors.append(ConfigError(f"sip.{name}", f"TCP port {port} is already used by {taken[port]}; give each its own"))
        taken.setdefault(port, f"sip.{name}")
    for part in ("lines", "sip_trunks"):
        for index, row in enumerate(result[part]):
            if row["t38"] != "off" and row["encryption"] == "required":
                errors.append(ConfigError(f"{part}[{index}].t38", f"is {row['t38']}, but encryption is required, and T.38 goes in the clear; switch one of them off"))
            if row["codecs"] == ["G729"]:
                errors.append(ConfigError(f"{part}[{index}].codecs", "are G729 alone, which nothing here can play, record or mix; add PCMA"))
    if bool(sip["certificate"]) != bool(sip["key"]):
        errors.append(ConfigError("sip.key", "and sip.certificate go together; give both, or none"))
    return errors
