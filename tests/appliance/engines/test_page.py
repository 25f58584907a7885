"""The page as the supervisor keeps it."""

import sys

from topmast.engine import Setup
from topmast.engines.page import ENGINE
from topmast.page.__main__ import parse


def test_the_page_is_started_with_explicit_arguments_that_it_understands(setup: Setup) -> None:
    component = ENGINE.component(setup)

    assert component.argv[:3] == (sys.executable, "-m", "topmast.page")
    assert parse(component.argv[3:]).layout == setup.layout
    assert (component.name, component.address) == ("page", "127.0.0.1:3008")
    assert component.ready == "http://127.0.0.1:3008/healthz"
    assert dict(component.env) == {}
