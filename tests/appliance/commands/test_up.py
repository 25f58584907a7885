"""`up` refuses what cannot work before anything starts; what it does start is proved in tests/live."""

import os
from pathlib import Path

import pytest


def test_a_broken_configuration_is_refused_before_the_state_folder_exists(topmast, tmp_path: Path) -> None:
    file = tmp_path / "topmast.yml"
    file.write_text("retention: {logs_days: 0}\n")

    answer = topmast("-c", str(file), "up", "--detach")

    assert answer.code == 78
    assert answer.err.startswith(f"topmast: {file}: $.retention.logs_days: 0 ")
    assert not (tmp_path / "state").exists()


def test_a_configuration_that_is_not_there_is_said(topmast, tmp_path: Path) -> None:
    answer = topmast("-c", str(tmp_path / "mine.yml"), "up")

    assert (answer.code, answer.err) == (78, f"topmast: {tmp_path / 'mine.yml'}: no such file\n")


SLOWER = "redis: {target: cache, url: 'redis://127.0.0.1:6379', timeout_seconds: 30, interval_seconds: 15}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            f"exporter: {{collectors: [{SLOWER}]}}\n",
            "$.exporter.collectors[0].redis.timeout_seconds: longer than the interval",
            id="a timeout beyond its interval",
        ),
        pytest.param(
            "shipper: {inputs: [{file: {name: one, paths: [/x], parser: nosuch}}]}\n",
            "nosuch",
            id="a parser that is not there",
        ),
    ],
)
def test_what_the_exporter_and_the_shipper_would_end_over_is_refused_before(
    topmast, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "topmast.yml"
    file.write_text(text)

    answer = topmast("-c", str(file), "up", "--detach")

    assert answer.code == 78
    assert answer.err.startswith(f"topmast: {file}: $.")
    assert said in answer.err
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_state_folder_that_cannot_be_written_is_one_sentence(topmast, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    answer = topmast("up", "--detach")

    tmp_path.chmod(0o700)
    assert answer.code == 73
    assert "cannot be written" in answer.err
    assert "--state DIR" in answer.err


def test_a_state_folder_that_is_a_file_is_one_sentence(topmast, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")

    answer = topmast("up", "--detach")

    assert answer.code == 73
    assert "the state folder cannot be written" in answer.err


def test_an_offset_that_leaves_no_port_is_refused(topmast) -> None:
    answer = topmast("up", "--detach", "--port-offset", "70000")

    assert answer.code == 69
    assert "not a port" in answer.err


def test_compose_mode_without_docker_says_so(topmast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    answer = topmast("up", "--mode", "compose")

    assert answer.code == 69
    assert "no docker on PATH; install Docker, or `topmast up --mode embedded`" in answer.err
    # What was refused is not remembered.
    assert (tmp_path / "state" / "mode").read_text() == "embedded\n"
