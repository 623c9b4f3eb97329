"""Who may import whom (ARCHITECTURE.md): read from the source with ast, nothing is imported.

A room is the longest prefix of a module's name that stands in ROOMS.  What a
room may use of ours is listed beside it; a module may always use its own room.
"""

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOPS = ("boardconfig", "drivers", "dsp", "firmware", "webui", "hil")

_CORE = ("firmware.errors",)
_TEXT = ("firmware.jsontext",)
_PORTABLE = ("firmware.proto", "firmware.call", "firmware.acd", "firmware.ivr")
_APPLICATIONS = ("firmware.fax", "firmware.recording", "firmware.outbound", "firmware.quality")
# room: rooms it may import besides itself
ROOMS = {
    # The errors are no room's: every raiser of DriverError and ConfigError has them.
    "boardconfig": ("firmware.errors",), "drivers": ("firmware.errors",), "dsp": (), "hil": (),
    "firmware.errors": (), "firmware.exits": (), "firmware.jsontext": (), "firmware.sockets": ("firmware.errors",), "firmware.sip_web": ("firmware.errors",),
    "firmware.heartbeat": (), "firmware.logfile": (), "firmware.first_boot": ("firmware.errors",),
    "firmware.proto": _CORE,
    "firmware.call": _CORE + ("firmware.proto",),
    "firmware.acd": _CORE + ("firmware.proto", "firmware.call"),
    "firmware.ivr": _CORE + ("firmware.proto", "firmware.call"),
    "firmware.fax": _CORE + _PORTABLE, "firmware.recording": _CORE + _PORTABLE,
    "firmware.outbound": _CORE + _PORTABLE, "firmware.quality": _CORE + _PORTABLE,
    # What a route, a permission or a strategy is called, and whether it leads somewhere, has one truth: the room that carries it out.
    # So has what carries a span.
    "firmware.config": _CORE + _TEXT + ("firmware.call", "firmware.acd", "boardconfig"),
    # The CDR is a projection of journal records, written in their transaction.
    # The sums of reports are one, too: the fold of the live figures.
    "firmware.storage": _CORE + _TEXT + ("firmware.config", "firmware.call.records", "firmware.acd.statistics", "firmware.acd.report"),
    # The framers are one more adapter of the control process, in the shape of those of links.
    "firmware.chassis": _CORE + ("firmware.first_boot", "firmware.config", "firmware.links.adapter", "drivers", "boardconfig"),
    "firmware.trace": (),
    "firmware.media.client": _CORE,
    "firmware.media": _CORE + ("dsp", "drivers.tdm", "firmware.exits", "firmware.heartbeat", "firmware.sockets",
                               "firmware.media.client", "firmware.trace") + tuple(
        ["firmware.proto." + name for name in ("q921", "q921_frames", "mtp2", "mtp2_table", "rtp", "rtcp", "stun", "udptl")]),
    # Started by media, shares its rings, speaks to services outside: none of the switch's own rooms.
    "firmware.streaming": _CORE + ("dsp",),
    "firmware.links": _CORE + _TEXT + _PORTABLE + _APPLICATIONS + ("firmware.media.client", "firmware.config", "firmware.sockets", "firmware.sip_web", "firmware.trace"),
    "firmware.control.client": _CORE,
    "firmware.control": _CORE + _TEXT + _PORTABLE + _APPLICATIONS + (
        "firmware.links", "firmware.config", "firmware.storage", "firmware.chassis", "firmware.media.client",
        "firmware.control.client", "firmware.exits", "firmware.heartbeat", "firmware.sockets", "firmware.sip_web", "firmware.first_boot", "boardconfig"),
    # Flows are simulated without a switch.
    "firmware.cli": _CORE + _TEXT + ("firmware.ivr", "firmware.exits", "firmware.config.schema", "firmware.control.client"),
    # The supervisor refuses a configuration before it starts anybody.
    "firmware.__main__": _CORE + ("firmware.exits", "firmware.sockets", "firmware.config", "firmware.ivr.flow", "firmware.heartbeat",
                                  "firmware.logfile", "firmware.first_boot"),
    "webui": ("firmware.config.schema", "firmware.control.client", "firmware.errors", "firmware.exits", "firmware.sockets",
              "firmware.heartbeat", "firmware.first_boot", "firmware.sip_web", "firmware.jsontext"),
}
# What the portable packages may take from the standard library (MicroPython has these).
STANDARD = {"json", "struct", "re", "math", "binascii", "heapq"}


def modules():
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            if "node_modules" not in path.parts and "vendor" not in path.parts:
                yield path


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name):
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in ROOMS:
            return ".".join(parts[:length])
    return None


def imports(path):
    """(line, module name) of everything a file imports, function bodies included.

    `from package import name` counts as package.name: a module or what stands in one."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                yield node.lineno, module + "." + alias.name


def allowed(name, imported):
    """Whether module `name` may import `imported` (both dotted)."""
    if imported.split(".")[0] not in TOPS:
        return True
    mine = room_of(name)
    theirs = room_of(imported)
    if mine == theirs and mine is not None:
        return True
    rooms = ROOMS.get(mine, ())
    # A room named whole does not open the rooms that are fenced off inside it.
    return theirs in rooms or any(
        (imported == room or imported.startswith(room + ".")) and not (theirs or "").startswith(room + ".")
        for room in rooms)


def test_every_module_stands_in_a_room():
    assert [name_of(path) for path in modules() if room_of(name_of(path)) is None] == []


@pytest.mark.parametrize("top", TOPS)
def test_rooms(top):
    wrong = []
    for path in modules():
        name = name_of(path)
        if name.split(".")[0] == top:
            wrong += ["%s:%d imports %s" % (path.relative_to(ROOT), line, imported)
                      for line, imported in imports(path) if not allowed(name, imported)]
    assert wrong == []


def test_portable_packages_use_only_what_micropython_has():
    wrong = []
    for path in modules():
        name = name_of(path)
        if room_of(name) in _PORTABLE:
            for line, imported in imports(path):
                top = imported.split(".")[0]
                if top not in TOPS and top not in STANDARD:
                    wrong.append("%s:%d imports %s" % (path.relative_to(ROOT), line, imported))
    assert wrong == []


def test_nothing_portable_imports_asyncio():
    users = [name_of(path) for path in modules()
             if room_of(name_of(path)) in _PORTABLE + ("firmware.errors",)
             and any(imported.split(".")[0] == "asyncio" for _, imported in imports(path))]
    assert users == []


def test_hil_and_the_product_meet_over_wires_only():
    """hil imports nothing of ours, and nothing of ours imports hil."""
    pairs = [(name_of(path), imported) for path in modules() for _, imported in imports(path)
             if imported.split(".")[0] in TOPS]
    assert [pair for pair in pairs if (pair[0].split(".")[0] == "hil") != (pair[1].split(".")[0] == "hil")
            and "hil" in (pair[0].split(".")[0], pair[1].split(".")[0])] == []


def test_the_rules_themselves():
    """The checker finds what it should find."""
    assert allowed("firmware.call.routing", "firmware.proto.sip.uri")
    assert not allowed("firmware.proto.q921", "firmware.call.routing")
    assert not allowed("firmware.acd.queue", "firmware.ivr.flow")
    assert not allowed("firmware.links.span", "firmware.media.link")
    assert allowed("firmware.links.media", "firmware.media.client.MediaClient")
    assert not allowed("firmware.media.link", "firmware.proto.q931.link")
    assert allowed("firmware.media.link", "firmware.proto.q921.Q921Link")
    assert not allowed("dsp.g711", "drivers.tdm.ring")
    assert not allowed("webui.pages", "firmware.control.switchboard")
    assert not allowed("hil.board", "drivers.tdm.ring")
    assert "json" in STANDARD and "json" in sys.stdlib_module_names
