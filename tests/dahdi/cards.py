"""DAHDI's loop-back spans in the virtual machine: loaded, configured, taken out, put back.

Span 1 has channels 1 to 31, span 2, back to back with it, 32 to 62."""

import fcntl
import pathlib
import struct
import subprocess

MODULES = pathlib.Path(__file__).resolve().parents[2] / "build" / "dahdi" / "modules"
CONF = pathlib.Path("/etc/dahdi/system.conf")
DYNAMIC = struct.Struct("=20s40siii")           # struct dahdi_dynamic_span
DYNAMIC_DESTROY = 1 << 30 | DYNAMIC.size << 16 | 0xDA << 8 | 81
ROW = {"kind": "dahdi", "dahdi_span": 1, "type": "e1"}
SPANS = ["dynamic=loc,1:0,31,0", "dynamic=loc,1:1,31,0"]
# what our end and the far end take the channels as
FRAMES = ["bchan=1-15,17-31", "dchan=16"]
OCTETS = ["bchan=1-31"]
FAR_OCTETS = ["bchan=32-62"]
FAR_FRAMES = ["bchan=32-46,48-62", "dchan=47"]
CAS = ["cas=1-15:1101", "dchan=16", "cas=17-31:1101", "cas=32-46:1101", "dchan=47", "cas=48-62:1101"]


def load():
    """Insert the modules."""
    for module in ("dahdi", "dahdi_dynamic", "dahdi_dynamic_loc"):
        subprocess.run(["/bin/insmod", str(MODULES / (module + ".ko")), *(["auto_assign_spans=1"] if module == "dahdi" else [])], check=True)


def configure(*lines):
    """Make both spans and say what their channels are."""
    settle([*SPANS, *lines])


def settle(lines, *arguments, law="alaw=1-62"):
    CONF.write_text("\n".join([*lines, law, "loadzone=us", "defaultzone=us"]) + "\n")
    done = subprocess.run(["dahdi_cfg", "-c", str(CONF), *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("dahdi_cfg: " + (done.stderr or done.stdout))


def take_out():
    """DAHDI takes span 1 from whoever has its channels open, as when a card goes.  Returns the device's folder in sysfs."""
    device = pathlib.Path("/sys/bus/dahdi_spans/devices/span-1").resolve().parent
    (device / "unassign_span").write_text("1")
    return device


def put_back(device, lines):
    """The card is there again, and is set up."""
    (device / "assign_span").write_text("1:1:1")
    settle(lines, "-C", "1-31")


def destroy():
    """Both spans vanish; nobody may have channels open."""
    with open("/dev/dahdi/ctl", "r+b", buffering=0) as control:
        for end in ("1:0", "1:1"):
            fcntl.ioctl(control, DYNAMIC_DESTROY, DYNAMIC.pack(b"loc", end.encode(), 31, 0, 0))


def unload():
    """As on a machine that has no DAHDI."""
    for module in ("dahdi_dynamic_loc", "dahdi_dynamic", "dahdi"):
        subprocess.run(["/bin/rmmod", module], check=True)
