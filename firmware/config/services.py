"""The setting "services": what flows may ask of the outside: web services, databases, programs."""

import re

from firmware.config.field import Rows, Secret, Section, Switch, Text, Whole
from firmware.errors import ConfigError

KINDS = ("http", "sqlite", "postgresql", "mysql", "agi", "speech")
AUDIO = ("pcm16_16k", "pcm16_8k", "alaw")
ADDRESS = {"http": r"https?://[^\s/?#]+(/[^\s?#]*)?", "agi": r"agi://[^\s/?#]+(/[^\s?#]*)?", "speech": r"wss?://[^\s/?#]+(/[^\s#]*)?",
           "postgresql": r"[^\s/]+", "mysql": r"[^\s/]+", "sqlite": r"[^\0]+"}
EXAMPLE = {"http": "https://crm.example/api", "agi": "agi://10.0.0.5:4573", "speech": "wss://speech.example/v1", "postgresql": "10.0.0.5:5432",
           "mysql": "10.0.0.5:3306", "sqlite": "customers.db"}

SERVICES = Rows("what flows may ask of the outside", Section("a service", {
    "name": Text("the name that nodes of flows use", pattern=r"[A-Za-z0-9_.-]{1,32}", hint="use letters, digits, dot, dash and underline, at most 32", required=True),
    "kind": Text("what it is", choices=KINDS, required=True),
    "address": Text("http, agi, speech: where it is, for example https://crm.example/api; postgresql, mysql: host and port; sqlite: the file, below the "
                    "folder databases of the data", max_octets=300, required=True),
    "database": Text("postgresql, mysql: the name of the database", default=""),
    "user": Text("who signs in; empty: nobody", default=""),
    "password": Secret("with which password", default=""),
    "token": Secret("http, speech: sent as Authorization: Bearer", max_octets=2000, default=""),
    "connections": Whole("how many questions may be asked at once", 1, 64, default=8),
    "timeout_s": Whole("the longest that any node may wait for it", 1, 120, default=10, unit="s"),
    "max_octets": Whole("the longest answer", 1000, 4_000_000, default=200_000, unit="octets"),
    "audio": Text("speech: how sound is sent and comes back", choices=AUDIO, default="pcm16_16k"),
    "write": Switch("sqlite: statements may change the file", default=False),
    "verify": Switch("the certificate must be good; off for tests only", default=True)}), key="name", most=100)


def kinds(result):
    """{name: kind} of the services of a checked configuration."""
    return {row["name"]: row["kind"] for row in result["services"]}


def check(result, loaded=False):
    """ConfigErrors of what one field alone does not show.  loaded: it is a file's, which older versions took."""
    errors = []
    for index, row in enumerate(result["services"]):
        here = f"services[{index}]"
        if not re.fullmatch(ADDRESS[row["kind"]], row["address"]):
            errors.append(ConfigError(f"{here}.address", f"does not fit a service of kind {row['kind']}; give it like {EXAMPLE[row['kind']]}"))
        elif row["kind"] == "speech" and not loaded and "@" in row["address"].split("/")[2]:
            errors.append(ConfigError(f"{here}.address", "holds a user or password before the @, which no speech service is sent; give what it wants as token"))
        elif row["kind"] == "sqlite" and (row["address"].startswith("/") or ".." in row["address"].split("/")):
            errors.append(ConfigError(f"{here}.address", "lies outside the folder databases; put the file or a link to it there and give its name"))
        elif row["kind"] in ("postgresql", "mysql", "agi", "http", "speech"):
            port = re.fullmatch(r".*:(\d+)", row["address"].split("://")[-1].split("/")[0])
            if port and not 0 < int(port.group(1)) < 65536:
                errors.append(ConfigError(f"{here}.address", "has a port that is none; give 1 to 65535"))
    return errors
