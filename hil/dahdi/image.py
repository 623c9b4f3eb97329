"""The virtual machine's whole file system as one archive in memory: python -m hil.dahdi.image OUT

busybox, one Python with the packages that the product runs with, the checkout, libpri's far ends, DAHDI's modules and dahdi_cfg, and the libraries
that those name; no package manager, no init system, no disk.  A file keeps its time, so that compiled Python stays valid.

The archive is that of the kernel's initramfs (Documentation/driver-api/early-userspace/buffer-format.rst: "newc")."""

import compileall
import os
import pathlib
import stat
import subprocess
import sys
import sysconfig

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BUILD = CHECKOUT / "build" / "dahdi"
HOME, SITE = "/strowger", "/site"           # of the checkout, of the packages, in the machine
OURS = ("boardconfig", "drivers", "dsp", "firmware", "webui", "hil", "tests/dahdi", "build/hil", "build/prompts", "build/webui", "build/dahdi/far",
        "build/dahdi/modules")
LEAVE_OUT = {"node_modules", ".git", "picture", "corpus"}
SOURCES = (".pyx", ".pxi", ".pxd", ".c", ".h", ".o", ".md", ".po", ".a")
PACKAGES = ("numpy", "numpy.libs", "msgpack", "bottle.py", "a2wsgi", "h11", "pg8000", "scramp", "asn1crypto", "pymysql", "uvicorn", "click", "wsproto", "jinja2",
            "markupsafe", "babel", "argon2", "_argon2_cffi_bindings", "cffi", "_cffi_backend*", "cryptography", "pyroute2", "smbus2", "serial", "tzdata",
            "typing_extensions.py", "dateutil", "six.py", "psutil")
WITHOUT = ("/tests/", "/test/", "/numpy/f2py/", "/numpy/distutils/", "/locale-data/", "/idlelib/", "/tkinter/", "/lib2to3/", "/ensurepip/", "/pydoc_data/",
           "/config-3.11-", "/distutils/", "/turtledemo/", "/typing_extensions/")
LOCALES = ("root", "en", "en_US", "zh", "zh_Hans", "zh_Hans_CN")
PROGRAMS = ("/bin/busybox", "/usr/sbin/dahdi_cfg", "/usr/bin/ip")
# the last ones are opened by name only: by NSS, which libsrtp2 has its ciphers from
FILES = ("/etc/protocols", "/etc/services", "/usr/lib/ssl/openssl.cnf", "/etc/ssl/openssl.cnf",
         "/lib/x86_64-linux-gnu/libsoftokn3.so", "/lib/x86_64-linux-gnu/libfreeblpriv3.so")
OWN = {"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n", "/etc/hosts": "127.0.0.1 localhost vm\n", "/etc/hostname": "vm\n",
       "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n"}
FOLDERS = ("/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/var/tmp", "/bin", "/etc/dahdi")
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin:/usr/sbin HOME=/root PYTHONPATH=%(home)s:%(site)s
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir /dev/shm /dev/pts; mount -t tmpfs -o size=80%% tmpfs /dev/shm; mount -t devpts pts /dev/pts
ip link set lo up
stty raw -echo </dev/ttyS1
cd %(home)s && mkdir -p build/dahdi/out
sh -c "$(tr ' ' '\\n' </proc/cmdline | sed -n 's/^vm_run=//p' | tr '%%' ' ')" </dev/null >/dev/console 2>&1
echo "$?" >build/dahdi/out/status
cut -d' ' -f1 /proc/uptime >build/dahdi/out/uptime
tar -C build/dahdi -c out >/dev/ttyS1
sync
poweroff -f
"""


class Archive:
    """A "newc" archive that is written as it grows."""

    def __init__(self, file):
        self._file, self._inode, self._there = file, 0, set()

    def _put(self, name, mode, octets=b"", mtime=0, device=(0, 0)):
        if name in self._there:
            return
        self._there.add(name)
        self._inode += 1
        encoded = name.lstrip("/").encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, int(mtime), len(octets), 0, 0, *device, len(encoded), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._file.write(head + bytes(-len(head) % 4) + octets + bytes(-len(octets) % 4))

    def folder(self, name):
        """A folder and those above it."""
        parts = name.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            self._put("/" + "/".join(parts[:count]), stat.S_IFDIR | 0o755)

    def text(self, name, text, mode=0o644):
        self.folder(os.path.dirname(name)) if os.path.dirname(name) != "/" else None
        self._put(name, stat.S_IFREG | mode, text.encode())

    def file(self, path, name=None):
        """A file of this machine, links followed."""
        path, name = pathlib.Path(path), str(name or path)
        if os.path.dirname(name) != "/":
            self.folder(os.path.dirname(name))
        told = path.stat()
        self._put(name, stat.S_IFREG | stat.S_IMODE(told.st_mode), path.read_bytes(), told.st_mtime)

    def link(self, name, target):
        self._put(name, stat.S_IFLNK | 0o777, target.encode())

    def end(self):
        self._put("/dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
        self._put("TRAILER!!!", 0)


def below(folder, name):
    """(path, its name in the machine) of what belongs into it."""
    for path in sorted(folder.rglob("*")):
        inside = name + "/" + str(path.relative_to(folder))
        if not path.is_file() or LEAVE_OUT & set(path.parts) or path.suffix in SOURCES:
            continue
        if not inside.startswith(HOME) and any(part in inside for part in WITHOUT) and not (path.suffix == ".dat" and path.stem in LOCALES):
            continue
        yield path, inside


def wanted():
    """All files but libraries."""
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    site = pathlib.Path(sysconfig.get_paths()["purelib"])
    yield from below(library, str(library))
    for pattern in PACKAGES:
        for path in sorted(site.glob(pattern)):
            if path.is_dir():
                yield from below(path, f"{SITE}/{path.name}")
            else:
                yield path, f"{SITE}/{path.name}"
    for part in OURS:
        path = CHECKOUT / part
        if path.is_dir():
            yield from below(path, f"{HOME}/{part}")
        elif path.exists():
            yield path, f"{HOME}/{part}"
    executable = pathlib.Path(sys.executable).resolve()
    yield executable, str(executable)
    for name in (*PROGRAMS, *FILES):
        if os.path.exists(name):
            yield pathlib.Path(name), name


def libraries(files):
    """What the dynamic linker takes for them."""
    found = set()
    elf = [str(path) for path in files if path.suffix != ".ko" and open(path, "rb").read(4) == b"\x7fELF"]
    said = subprocess.run(["ldd", *elf], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    for line in said.splitlines():
        path = line.partition("=>")[2].split("(")[0].strip() or (line.split("(")[0].strip() if "ld-linux" in line else "")
        if path.startswith("/") and "site-packages" not in path:
            found.add(path)
    return sorted(found)


def make(out):
    """Write the archive."""
    for folder in OURS:
        compileall.compile_dir(CHECKOUT / folder, quiet=2, maxlevels=20)
    files = dict((name, path) for path, name in wanted())
    with open(str(out) + ".new", "wb") as file:
        archive = Archive(file)
        for name in FOLDERS:
            archive.folder(name)
        archive.text("/init", INIT % {"home": HOME, "site": SITE}, 0o755)
        for name, text in OWN.items():
            archive.text(name, text)
        for name, path in files.items():
            archive.file(path, name)
        for path in libraries(files.values()):
            archive.file(path)
        archive.link("/usr/bin/python3", os.path.basename(os.path.realpath(sys.executable)))
        archive.end()
    os.replace(str(out) + ".new", out)
    return len(files)


if __name__ == "__main__":
    print("%d files, %.0f MB" % (make(sys.argv[1]), os.path.getsize(sys.argv[1]) / 1e6))
