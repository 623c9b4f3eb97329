"""The kernels on 64-bit ARM (NEON by GCC's vectorisation): the same samples through each, here and under qemu-user."""

import shutil
import subprocess

import pytest

from tests import aarch64
from tests.conftest import WHOLE_ONLY


@WHOLE_ONLY
@pytest.mark.conformance("issue 3", "aarch64", "every kernel computes on aarch64 what it computes on x86-64: integer kernels bit by bit, float ones within their tolerance")
def test_every_kernel_computes_the_same():
    for program in (aarch64.COMPILER, "qemu-aarch64", "dpkg-deb"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (gcc-aarch64-linux-gnu, qemu-user)")
    try:
        aarch64.debian()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Debian's packages of arm64 cannot be fetched ({error})")
    assert aarch64.compile_kernels() >= 20
    rows = aarch64.compare()
    assert len(rows) >= 20
    assert {name: difference for name, _, difference, allowed in rows if difference > allowed} == {}
    assert {name for name, _, _, allowed in rows if allowed} == {"echo", "noise", "level", "vad"}
