"""What the tests of hooks share: a sender whose events are caught."""

import pytest
from caught import Caught
from topmast_exporter.registry import Registry
from topmast_exporter.testing import caught_usage


@pytest.fixture
def usage() -> Caught:
    return caught_usage(Registry())
