"""`topmast test`: the habits (format, lint, types, imports) and the test suites, the fast ones first."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial

import click

from topmast.cli import Call
from topmast.errors import PrerequisiteError
from topmast.layout import Layout
from topmast.suites import SUITES, Suite, files, marker_expression, required, spreading

HABITS = (
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("lint", ("-m", "ruff", "check", ".")),
    ("types", ("-m", "mypy")),
    # Neither importlinter nor importlinter.cli runs with -m: the one fails, the other does nothing and says 0.
    ("imports", ("-c", "import importlinter.cli; importlinter.cli.lint_imports_command()")),
)
# Hundreds of processes are started: where Python is told to keep no bytecode, each compiles all of ours again.
_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
_NO_TESTS = 5  # pytest: no tests were collected


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--suite", "chosen", multiple=True, type=click.Choice([suite.name for suite in SUITES]))
@click.option("--json", "as_json", is_flag=True, help="Print {suites: [{name, result, seconds, reason}]} at the end.")
@click.argument("pytest_arguments", nargs=-1)
@click.pass_obj
def test(call: Call, chosen: tuple[str, ...], as_json: bool, pytest_arguments: tuple[str, ...]) -> None:
    """Run the tests; what they need is set up first. Further arguments go to pytest (-k, -x, a path).

    Without --suite: format, lint, types and import contracts, then every suite that this machine can run. What it
    cannot is skipped with the reason; TOPMAST_REQUIRE=rules,live makes such a skip a failure.
    """
    if not (call.home / "tests").is_dir():
        raise PrerequisiteError("the tests run from a clone of the repository; this is an installed package")
    results: list[dict[str, object]] = []
    if not chosen and not pytest_arguments:
        for name, argv in HABITS:
            results.append(_timed(name, partial(_run, call, [sys.executable, *argv], {})))
    layout = Layout(call.home, call.state)
    for suite in SUITES:
        if suite.name in chosen or (not chosen and (not suite.on_request or suite.name in required())):
            results.append(_timed(suite.name, partial(_suite, call, layout, suite, pytest_arguments)))
        elif not chosen and not pytest_arguments:
            reason = f"on request: --suite {suite.name}"
            results.append({"name": suite.name, "result": "skipped", "reason": reason, "seconds": 0.0})
    click.echo()
    for each in results:
        reason = f": {each['reason']}" if each["reason"] else ""
        click.echo(f"  {each['name']:<14} {each['result']:<8} {each['seconds']:>6} s{reason}")
    if as_json:
        click.echo(json.dumps({"suites": results}))
    failed = sum(each["result"] == "failed" for each in results)
    passed = sum(each["result"] == "passed" for each in results)
    skipped = len(results) - failed - passed
    click.echo(f"{passed} passed, {failed} failed, {skipped} skipped")
    raise click.exceptions.Exit(1 if failed else 0)


def _timed(name: str, run: Callable[[], tuple[str, str]]) -> dict[str, object]:
    click.echo(f"\n== {name}")
    began = time.monotonic()
    result, reason = run()
    if reason:
        click.echo(f"   {result}: {reason}")
    return {"name": name, "result": result, "reason": reason, "seconds": round(time.monotonic() - began, 1)}


def _suite(call: Call, layout: Layout, suite: Suite, pytest_arguments: tuple[str, ...]) -> tuple[str, str]:
    missing = "failed" if suite.name in required() else "skipped"
    try:
        environment = suite.prepare(layout, lambda text: click.echo(f"  {text}"))
    except PrerequisiteError as error:
        return missing, str(error)
    # Who names tests or options (-x, --pdb, -s) wants to see them in order, in one process.
    how = pytest_arguments or [*spreading(suite), *map(str, files(suite.name, call.home / "tests"))]
    argv = [sys.executable, "-m", "pytest", "-q", "-m", marker_expression(suite), *how]
    return _run(call, argv, environment, missing)


def _run(call: Call, argv: list[str], environment: Mapping[str, str], missing: str = "failed") -> tuple[str, str]:
    done = subprocess.run(argv, cwd=call.home, env={**os.environ, **_BYTECODE, **environment}, check=False)
    if done.returncode == _NO_TESTS:
        return missing, "no such test"
    return ("passed" if done.returncode == 0 else "failed"), ""


COMMAND = test
