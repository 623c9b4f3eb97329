"""Settings of desk phones that fetch their configuration from the box: what schema.py takes into its sections."""

from firmware.config.field import ANY_ADDRESS, Rows, Section, Switch, Text
from firmware.errors import ConfigError

MODELS = ("yealink", "grandstream", "fanvil")

PHONE = Section("a desk phone that is set up by the box", {
    "mac": Text("its hardware address, on a label at its back", pattern=r"[0-9a-f]{12}", hint="give 12 hexadecimal digits in lower case, without colons",
                required=True),
    "model": Text("whose files it understands", choices=MODELS, required=True),
    "line": Text("the line that it registers as", pattern=r"[A-Za-z0-9_.-]{1,32}", required=True),
    "label": Text("what its display shows; empty: the line", pattern=r"[^\x00-\x1f\x7f]{0,60}", hint="use at most 60 characters", default=""),
    "language": Text("of its display", choices=("en", "zh_CN"), default="en"),
    "transport": Text("how it reaches the box", choices=("udp", "tcp", "tls"), default="udp")})

PARTS = {"desk_phones": Rows("desk phones that are set up by the box", PHONE, key="mac", most=2000),
         "provisioning": Section("how desk phones fetch their files", {
             "enabled": Switch("give them out", default=False),
             "server": Text("the host by which phones reach the box, for pages and SIP; empty: the address that each listens on", pattern=r"[A-Za-z0-9.:-]{0,253}",
                            hint="give a host name or an address", default="")})}


def check(result):
    """ConfigErrors of the checked sections."""
    errors, lines = [], {row["name"] for row in result["lines"]}
    for index, row in enumerate(result["desk_phones"]):
        here = f"desk_phones[{index}]"
        if row["line"] not in lines:
            errors.append(ConfigError(f"{here}.line", f"there is no line {row['line']!r}; add it, or choose another one"))
        if row["transport"] == "tls" and not result["sip"]["tls_port"]:
            errors.append(ConfigError(f"{here}.transport", "is tls, but sip.tls_port is 0; give SIP a port for TLS, or choose udp or tcp"))
        if row["transport"] == "tcp" and not result["sip"]["tcp"]:
            errors.append(ConfigError(f"{here}.transport", "is tcp, but sip.tcp is off; switch it on, or choose udp"))
    if result["provisioning"]["enabled"] and not result["provisioning"]["server"] and (
            result["web"]["address"] in ANY_ADDRESS or result["sip"]["address"] in ANY_ADDRESS):
        errors.append(ConfigError("provisioning.server", "is empty while SIP or the pages listen on all addresses; give the one that phones shall use"))
    return errors
