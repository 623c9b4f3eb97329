"""Where the corpus is, and at which instruction-set levels a kernel can be tested here."""

import os
import pathlib

import pytest

CHECKOUT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def corpus():
    """Path of the corpus; skipped by name where it is absent, an error where CI=true."""
    path = pathlib.Path(os.environ.get("STROWGER_CORPUS") or CHECKOUT.parent / "shared/corpus")
    if path.is_dir():
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"corpus not found at {path}; set STROWGER_CORPUS")
    pytest.skip("corpus absent (set STROWGER_CORPUS)")


def pytest_generate_tests(metafunc):
    """A test that takes `level` runs once for each built level that this processor has."""
    if "level" in metafunc.fixturenames:
        from dsp import isa
        kernel = getattr(metafunc.module, "KERNEL")
        metafunc.parametrize("level", isa.built_levels(kernel) or ["none built"])
