"""The kernels of dsp/ for 64-bit ARM, compiled by Debian's cross compiler and judged under qemu-user.

    python -m tests.aarch64            some 5 minutes; `make conformance` runs compare() of it (tests/dsp/test_aarch64.py)

 1. Debian's arm64 Python, numpy, scipy and pytest are unpacked below build/aarch64/root (nothing of this machine changes).
 2. The C files that Cython made for x86-64 are compiled by aarch64-linux-gnu-gcc; ARM has one build of each, level "v2" (dsp/isa.py).
    GCC vectorises for NEON; no kernel has code for ARM alone but lanes.h's turning of squares.
 3. tests/dsp/every_kernel.py puts the same samples through each kernel here and there: integer kernels give the same octets,
    float ones differ by at most what it says.
 4. Tests that compare kernels with their numpy references run there (TESTS).

Figures of time mean nothing under qemu-user: none are taken.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from tests import corpus

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLACE = ROOT / "build/aarch64"
DEBIAN = PLACE / "root"
PYTHON = DEBIAN / "usr/bin/python3.11"
TREE = PLACE / "tree"
PACKAGES = ("python3.11", "libpython3.11-dev", "python3-numpy", "python3-scipy", "python3-pytest", "python3-hypothesis")
COMPILER = "aarch64-linux-gnu-gcc"
FLAGS = ("-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-march=armv8-a", "-fPIC", "-shared", "-w")
SUFFIX = ".cpython-311-aarch64-linux-gnu.so"
# Which tests run there; qemu-user is some 20 times slower than the processor, and what every_kernel.py finds equal to the last
# bit needs no second proof: kernels against their numpy references, as far as that takes no more than a minute.
TESTS = {"test_g711": "not spandsp", "test_mix": "", "test_rows": "", "test_echo": "reference", "test_noise": "equals_the_reference"}


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise SystemExit(f"aarch64: {program} is missing; install gcc-aarch64-linux-gnu and qemu-user")


def debian():
    """Debian's packages of arm64, unpacked."""
    if PYTHON.exists():
        return
    apt = PLACE / "apt"
    for folder in ("lists/partial", "archives/partial", "state", "cache"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")
    command = ["apt-get", "-qq", "-y", "--no-install-recommends"]
    for option in (f"Dir::State={apt}/state", f"Dir::State::Lists={apt}/lists", f"Dir::State::status={apt}/status", f"Dir::Cache={apt}/cache",
                   f"Dir::Cache::Archives={apt}/archives", "APT::Architecture=arm64", "APT::Architectures::=arm64", "APT::Sandbox::User="):
        command += ["-o", option]
    subprocess.run([*command, "update"], check=True)
    subprocess.run([*command, "--download-only", "install", *PACKAGES], check=True)
    shutil.rmtree(DEBIAN, ignore_errors=True)
    DEBIAN.mkdir()
    wanted = ("./usr/lib", "./lib", "./usr/include", "./usr/bin/python3.11")
    for package in sorted((apt / "archives").glob("*.deb"), key=lambda p: p.name.startswith("python3.11_")):     # the program last: it says that all is there
        files = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", DEBIAN, "--wildcards", "--no-wildcards-match-slash", *wanted], stdin=files.stdout, stderr=subprocess.DEVNULL, check=False)
        files.wait()


def compile_kernels():
    """The tree that the tests run in: sources of ours, kernels for ARM."""
    made = TREE / "dsp/_isa/v2"
    made.mkdir(parents=True, exist_ok=True)
    for room in ("dsp", "tests/dsp"):
        (TREE / room).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / room).glob("*.py"):
            shutil.copy(path, TREE / room / path.name)
    for name in ("conftest.py", "corpus.py"):
        shutil.copy(ROOT / "tests" / name, TREE / "tests" / name)
    (TREE / "pytest.ini").write_text("[pytest]\npythonpath = .\n")     # else the one of the checkout above would take its own dsp/
    (TREE / "hil/probes").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "hil/probes/host.py", TREE / "hil/probes/host.py")
    includes = [DEBIAN / "usr/include/python3.11", DEBIAN / "usr/include", DEBIAN / "usr/lib/python3/dist-packages/numpy/core/include"]
    jobs = [(ROOT / "build/cython/dsp/_isa/_shared.c", TREE / ("dsp/_isa/_shared" + SUFFIX), [])]
    for source in sorted((ROOT / "build/cython/dsp").glob("_*.c")):
        head = (ROOT / "dsp" / (source.stem + ".pyx")).read_text().split('"""')[0]
        extra = [word for line in re.findall(r"distutils: extra_compile_args = (.*)", head) for word in line.split()]
        extra += ["-I" + str(ROOT / word) for line in re.findall(r"distutils: include_dirs = (.*)", head) for word in line.split()]
        jobs.append((source, made / (source.stem + SUFFIX), extra))
    headers = max(path.stat().st_mtime for room in ("dsp", "dsp/native") for path in (ROOT / room).glob("*.h"))
    for source, to, extra in jobs:
        if to.exists() and to.stat().st_mtime > max(source.stat().st_mtime, headers):
            continue
        done = subprocess.run([COMPILER, *FLAGS, *extra, "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION", "-I" + str(includes[0]), "-idirafter", includes[1],
                               "-I" + str(includes[2]), "-o", to, source, "-lm"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"aarch64: {source.name} does not compile:\n{done.stderr[-2000:]}")
    return len(jobs)


def there(*arguments, **more):
    """Debian's Python of arm64, under qemu-user."""
    lib = DEBIAN / "usr/lib/aarch64-linux-gnu"
    environment = {"PATH": os.environ["PATH"], "QEMU_LD_PREFIX": str(DEBIAN), "PYTHONHOME": str(DEBIAN / "usr"), "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONPATH": f"{TREE}:{DEBIAN}/usr/lib/python3/dist-packages", "OPENBLAS_NUM_THREADS": "1",
                   "STROWGER_CORPUS": str(corpus.FOLDER)}
    return subprocess.run(["qemu-aarch64", "-E", f"LD_LIBRARY_PATH={lib}/blas:{lib}/lapack:{lib}", PYTHON, *arguments], cwd=TREE, env=environment, **more)


def compare():
    """The same samples through each kernel here and there: [(name, arrays, greatest difference, allowed)]."""
    here, far = PLACE / "here.npz", PLACE / "there.npz"
    subprocess.run([sys.executable, "-m", "tests.dsp.every_kernel", here], cwd=ROOT, check=True, env=dict(os.environ, STROWGER_ISA="v2"))
    there("-m", "tests.dsp.every_kernel", far, check=True)
    from tests.dsp import every_kernel
    return every_kernel.compare(here, far)


def main():
    need(COMPILER, "qemu-aarch64", "apt-get", "dpkg-deb", "tar")
    debian()
    print(f"{compile_kernels()} modules compiled by {COMPILER}", flush=True)
    failed = 0
    for name, arrays, difference, allowed in compare():
        good = difference <= allowed
        failed += not good
        print(f"  {name:14} {arrays:3} arrays  {'bit by bit' if allowed == 0 else f'differ by {difference:.3g}, allowed {allowed:.3g}'}  {'ok' if good else 'FAILED'}", flush=True)
    for name, which in TESTS.items():
        done = there("-m", "pytest", "-q", "-c", TREE / "pytest.ini", "-p", "no:cacheprovider", "--import-mode=importlib", f"tests/dsp/{name}.py", *(("-k", which) if which else ()),
                     capture_output=True, text=True)
        failed += done.returncode != 0
        print(f"  {name:14} {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-300:]}", flush=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-1000:])
    print("aarch64: " + ("FAILED" if failed else "all kernels compute what they compute on x86-64"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
