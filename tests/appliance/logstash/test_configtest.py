"""`logstash -t`: what its answer becomes. The container is a stub: a shell here, with a `logstash` of the test's."""

import subprocess
from pathlib import Path

import pytest
from topmast.logstash import configtest

OK = """\
Using bundled JDK: /usr/share/logstash/jdk
[2026-01-05T10:00:00,000][INFO ][logstash.runner          ] Starting Logstash {"logstash.version"=>"9.5.2"}
Configuration OK
[2026-01-05T10:00:20,000][INFO ][logstash.runner          ] Using config.test_and_exit mode. Config Validation \
Result: OK. Exiting Logstash
"""
REFUSED = """\
[2026-01-05T10:00:20,000][FATAL][logstash.runner          ] The given configuration is invalid. Reason: Expected \
one of [ \\t\\r\\n], "#", "{" at line 3, column 7 (byte 31) after filter {
[2026-01-05T10:00:20,000][FATAL][org.logstash.Logstash    ] Logstash stopped processing because of an error: exit
"""


def answering(code: int, stdout: str = "", stderr: str = "") -> configtest.Inside:
    return lambda argv, _: subprocess.CompletedProcess(argv, code, stdout, stderr)


def test_an_accepted_configuration() -> None:
    found = configtest.checkup(answering(0, OK))

    assert (found.name, found.ok, found.message) == ("logstash -t", True, "accepts every pipeline")


def test_a_refused_one_is_told_in_logstash_s_own_words_with_the_remedy() -> None:
    found = configtest.checkup(answering(1, REFUSED))

    assert not found.ok
    assert found.message.startswith("Expected one of")
    assert found.message.endswith("after filter {")
    assert found.remedy is not None
    assert "topmast lint" in found.remedy


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        pytest.param("", "it ended without a word", id="nothing"),
        pytest.param("one\nError: No space left on device\n\n", "Error: No space left on device", id="last words"),
    ],
)
def test_without_a_reason_its_last_words_are_told(said: str, reason: str) -> None:
    assert configtest.checkup(answering(1, stderr=said)).message == reason


def test_no_answer_is_told() -> None:
    def never(argv: tuple[str, ...], seconds: float) -> "subprocess.CompletedProcess[str]":
        raise subprocess.TimeoutExpired(argv, seconds)

    assert configtest.checkup(never).message == "has not answered within 180 s"


def test_no_docker_is_told() -> None:
    def gone(argv: tuple[str, ...], seconds: float) -> "subprocess.CompletedProcess[str]":
        raise FileNotFoundError(2, "No such file or directory", argv[0], seconds)

    assert not configtest.checkup(gone).ok


def test_the_script_gives_the_password_a_heap_and_a_data_folder_of_its_own(tmp_path: Path) -> None:
    """The script itself, by a real shell; the paths of the container lead into a folder here."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/logstash"
    program.write_text('#!/bin/sh\n[ -d "$3" ] || exit 9\necho "$1 $2 $LS_JAVA_OPTS $LOGSTASH_WRITER_PASSWORD $3"\n')
    program.chmod(0o755)
    (tmp_path / "logstash-writer-password").write_text("s3cret")
    bash, option, script = configtest.COMMAND
    script = script.replace("/usr/share/logstash", str(tmp_path)).replace("/run/topmast", str(tmp_path))

    done = subprocess.run([bash, option, script], capture_output=True, text=True, check=True)

    *said, data = done.stdout.split()
    assert said == ["-t", "--path.data", "-Xms64m", "-Xmx256m", "s3cret"]
    assert not Path(data).exists()
