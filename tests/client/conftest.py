"""A fake daemon for the client's tests."""

from collections.abc import Iterator

import pytest

from lcrt.client.api import Api
from lcrt.config.address import Address
from tests.client.fake import FakeDaemon


@pytest.fixture
def fake() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


@pytest.fixture
def api(fake: FakeDaemon) -> Api:
    return Api(Address.parse(fake.host))
