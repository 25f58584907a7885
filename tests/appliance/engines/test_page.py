"""The page as the supervisor keeps it."""

import sys
from dataclasses import replace

import pytest
from topmast.engine import Setup
from topmast.engines.page import ENGINE
from topmast.errors import ConfigError
from topmast.page.__main__ import parse


def test_the_page_is_started_with_explicit_arguments_that_it_understands(setup: Setup) -> None:
    component = ENGINE.component(setup)

    assert component.argv[:3] == (sys.executable, "-m", "topmast.page")
    assert parse(component.argv[3:]).layout == setup.layout
    assert (component.name, component.address) == ("page", "127.0.0.1:3008")
    assert component.ready == "http://127.0.0.1:3008/healthz"
    assert dict(component.env) == {}


def with_page(setup: Setup, **page: object) -> Setup:
    return replace(setup, settings={**setup.settings, "page": {**setup.settings["page"], **page}})


def test_where_traces_are_shown_is_passed_on(setup: Setup) -> None:
    url = "https://tracing.example/trace/{trace_id}"

    component = ENGINE.component(with_page(setup, trace_url=url))

    assert parse(component.argv[3:]).trace_url == url


def test_it_does_not_listen_to_other_machines_without_tls_and_a_password(setup: Setup) -> None:
    with pytest.raises(ConfigError, match=r"\$\.page\.web_config_file: is missing"):
        ENGINE.component(with_page(setup, listen="192.0.2.7:3443"))
