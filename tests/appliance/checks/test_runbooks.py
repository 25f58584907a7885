"""The check `runbooks` is silent about our house and sees each seeded defect."""

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from topmast import runbookfile
from topmast.checks.runbooks import CHECK
from topmast.cli import topmast


def refused(line: str) -> str:
    """Return what click says of a line of topmast's, with its own parsers; "" when it takes it. Nothing is run."""
    try:
        command: click.Command = topmast
        words = shlex.split(line)[1:]
        context = click.Context(command, info_name="topmast")
        while isinstance(command, click.Group) and words:
            _, found, words = command.resolve_command(context, words)
            assert found is not None
            command = found
            context = command.make_context(command.name, list(words), parent=context)
            words = [*context._protected_args, *context.args] if isinstance(command, click.Group) else []
    except click.ClickException as error:
        return error.format_message()
    except ValueError as error:
        return str(error)
    return ""


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "## Impact",
            "## Effect",
            "the heading Impact is missing",
            id="a heading is gone",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "sum by (instance) (node_load5)",
            "sum by (instance (node_load5)",
            "not PromQL",
            id="PromQL that does not parse",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "node_load5",
            "nodes_load5",
            "nodes_load5: no metric of this name",
            id="a metric that does not exist",
        ),
        pytest.param(
            "docs/runbooks/HostMemoryLow.md",
            "\n- A process that leaks: its memory is a straight line since its start."
            "\n- One workload more on the machine than it was made for."
            "\n- A model or an index loaded by each worker instead of once.",
            "",
            "fewer than 2 likely causes",
            id="one cause only",
        ),
        pytest.param(
            "docs/runbooks/AppMetricsMissing.md",
            "`topmast targets check app` asks it as Prometheus does; then `curl -i http://ADDRESS/health`",
            "Ask it",
            "fewer than 3 commands",
            id="too little to type",
        ),
        pytest.param(
            "docs/runbooks/LedgerStalled.md",
            "`fuser -v ledger.sqlite`",
            "`lsfd -v ledger.sqlite`",
            "'lsfd': no program that runbooks use",
            id="a program in a sentence that nobody has looked at",
        ),
        pytest.param(
            "docs/runbooks/LedgerStalled.md",
            "`fuser -v ledger.sqlite`",
            "`lsfd ledger.sqlite`",
            "'lsfd': no program that runbooks use",
            id="the same without a flag",
        ),
        pytest.param(
            "docs/runbooks/RedisDown.md",
            "redis-cli -h HOST -p 6379 ping",
            "redis-cli -h HOST --port 6379 ping",
            "redis-cli --port: no flag",
            id="a flag that does not exist",
        ),
        pytest.param(
            "docs/runbooks/PostgresLongTransaction.md",
            "order by xact_start limit 5",
            "order by (xact_start limit 5",
            "a bracket or a quote is not closed",
            id="SQL that does not end",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "topmast silence HostCpuHigh",
            "topmast silence HostCpuSaturated",
            "no `topmast silence HostCpuHigh",
            id="another alert is silenced",
        ),
        pytest.param(
            "docs/runbooks/HostCpuHigh.md",
            "--label instance=",
            "--label host=",
            "HostCpuHigh has no label host",
            id="a silence that mutes nothing",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "> 0.85\n        for: 10m",
            "> 0.85\n        for: 15m",
            "write 'To Slack 15m30s to 16m15s after the first bad sample",
            id="a wait that was changed",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "group_wait: 30s",
            "group_wait: 1m",
            "write 'To Slack 11m to 11m45s after the first bad sample",
            id="a group that waits longer",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "alert: HostCpuHigh",
            "alert: HostCpuVeryHigh",
            "HostCpuVeryHigh has no runbook",
            id="an alert without a runbook",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]


@pytest.mark.parametrize("path", sorted((Path(__file__).resolve().parents[3] / "docs" / "runbooks").glob("*.md")))
def test_every_topmast_line_is_one_that_the_command_takes(path: Path) -> None:
    lines = [each.text for each in runbookfile.commands(path.read_text()) if each.kind == "topmast"]

    assert [(line, problem) for line in lines if (problem := refused(line))] == []
    assert any(line.startswith("topmast silence") for line in lines)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        pytest.param("topmast silence X --fro 1h --reason r", "No such option", id="an option"),
        pytest.param("topmast silence X --for 1h", "Missing option", id="an option that is needed"),
        pytest.param("topmast silense X", "no command 'silense'", id="a command"),
        pytest.param("topmast cost prices missing", "No such command", id="a command of a command"),
        pytest.param("topmast logs 'level:error", "No closing quotation", id="a quote"),
    ],
)
def test_a_line_that_the_command_does_not_take(line: str, problem: str) -> None:
    assert problem in refused(line)
