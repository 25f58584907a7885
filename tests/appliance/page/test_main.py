"""What the page is told on its command line."""

from pathlib import Path

import pytest
from topmast.layout import Layout
from topmast.page.__main__ import parse
from topmast.page.door import Door
from topmast.page.settings import from_layout

HERE = ["--state", "/srv/state", "--home", "/srv/home"]


def test_without_more_every_neighbour_is_on_loopback() -> None:
    settings = parse([*HERE, "--port-offset", "100"])

    assert settings == from_layout(Layout(Path("/srv/home"), Path("/srv/state"), 100))
    assert settings.address == ("127.0.0.1", 3101)


def test_in_a_container_it_listens_where_it_is_told_and_knows_its_names() -> None:
    settings = parse(
        [*HERE, "--listen", "0.0.0.0:3002", "--private-network", "--prometheus", "http://p:9090",
         "--allow-host", "page:3002"]
    )  # fmt: skip

    assert (settings.address, settings.prometheus) == (("0.0.0.0", 3002), "http://p:9090")  # noqa: S104 - a container's
    assert settings.alertmanager == "http://127.0.0.1:9093"
    assert {"page:3002", "localhost:3002"} <= settings.hosts
    assert "page:3001" not in settings.hosts


@pytest.mark.parametrize("value", ["3002", "host:", "host:port", ":80"])
def test_what_is_no_address_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*HERE, "--listen", value])

    assert f"not HOST:PORT: {value!r}" in capsys.readouterr().err


def test_a_plain_listener_that_others_can_reach_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([*HERE, "--listen", "0.0.0.0:3002"])

    assert "only with TLS and a password (page.listen and page.web_config_file)" in capsys.readouterr().err


def test_the_door_is_told_with_its_file() -> None:
    settings = parse([*HERE, "--door", "192.0.2.7:3443", "--web-config", "/srv/web.yml", "--allow-host", "mon:3443"])

    assert settings.door == Door("192.0.2.7", 3443, Path("/srv/web.yml"))
    assert settings.address == ("127.0.0.1", 3001)
    assert {"192.0.2.7:3443", "mon:3443", "localhost:3001"} <= settings.hosts
