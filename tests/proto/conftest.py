"""A SIP switch and a telephone by hand, for who asks for no other."""

import pytest

from tests.proto.sip_world import Phone, endpoint


@pytest.fixture
def switch():
    return endpoint()


@pytest.fixture
def phone(switch):
    return Phone(switch)
