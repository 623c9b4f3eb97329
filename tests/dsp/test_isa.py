"""Which build is chosen, and that every kernel is built and exports what isa.py promises."""

import re
import subprocess
import sys

import pytest

from dsp import isa

KERNELS = ("_rows", "_g711", "_mix", "_dtmf", "_tone", "_progress", "_plc", "_hdlc")


def test_levels_follow_the_flags():
    v2 = set(isa.FLAGS["v2"].split())
    v3 = v2 | set(isa.FLAGS["v3"].split())
    v4 = v3 | set(isa.FLAGS["v4"].split())
    assert [isa.level_of(flags) for flags in (set(), v2, v3, v4, v4 - {"avx2"})] == [None, "v2", "v3", "v4", "v2"]


@pytest.mark.parametrize("wish, words", (("v2", "v2"), ("v9", "no instruction-set level")))
def test_the_environment_decides(wish, words):
    done = subprocess.run([sys.executable, "-c", "from dsp import isa; print(isa.level())"], capture_output=True, text=True,
                          env={"STROWGER_ISA": wish, "PYTHONPATH": "."})
    assert words in done.stdout + done.stderr and (done.returncode == 0) == (wish == "v2")


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_level_is_built_and_exports_the_published_signatures(kernel):
    published = dict(re.findall(r"^  (\w+): ((?:void|int32_t|int64_t) \(.*\))$",
                                isa.__doc__.split(f"\n{kernel}  (", 1)[1].split("\n_", 1)[0], re.M)) or {}
    published = {name: re.sub(r"\)\s{2,}.*$", ")", signature) for name, signature in published.items()}
    for level in isa.LEVELS:
        assert any((isa.BUILDS / level / (kernel + suffix)).exists() for suffix in isa.importlib.machinery.EXTENSION_SUFFIXES), level
    for level in isa.built_levels(kernel):
        capsules = isa.capsules(kernel, level)
        assert {name: re.search(r'object "([^"]*)"', repr(capsule))[1] for name, capsule in capsules.items()}.keys() == capsules.keys()
        for name, signature in published.items():
            assert f'"{signature}"' in repr(capsules[name])
            assert isa.pointer(kernel, name, level)


def test_a_kernel_that_is_not_built_is_named():
    with pytest.raises(ImportError, match="_nothing is not built for"):
        isa.load("_nothing")


def test_aligned():
    for octets in (1, 100, 4096):
        array = isa.aligned(octets)
        assert array.ctypes.data % 64 == 0 and len(array) == octets and not array.any()


def test_threads_that_load_a_kernel_at_once_have_all_of_it():
    """Media measures prices with two threads: one of them had a kernel without LANES."""
    script = ("import concurrent.futures, sys, threading\n"
              "from dsp import isa\n"
              "sys.setswitchinterval(1e-6)\n"
              "for kernel in ('_echo', '_noise', '_level', '_vad'):\n"
              "    together = threading.Barrier(4)\n"
              "    with concurrent.futures.ThreadPoolExecutor(4) as pool:\n"
              "        assert len(set(pool.map(lambda _: (together.wait(), tuple(isa.load(kernel).capi))[1], range(4)))) == 1\n")
    for _ in range(3):
        subprocess.run([sys.executable, "-c", script], check=True, cwd=isa.BUILDS.parents[1])
