"""`topmast test`: the habits (format, lint, imports, types) and the test suites, the fast ones first."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import IO, Any

import click

from topmast.cli import Call
from topmast.errors import PrerequisiteError
from topmast.layout import Layout
from topmast.suites import SUITES, Suite, files, marker_expression, required, spreading

HABITS = (
    ("format", ("-m", "ruff", "format", "--check", ".")),
    ("lint", ("-m", "ruff", "check", ".")),
    # Neither importlinter nor importlinter.cli runs with -m: the one fails, the other does nothing and says 0.
    ("imports", ("-c", "import importlinter.cli; importlinter.cli.lint_imports_command()")),
)
# The one habit that takes long, and a core: where a suite waits, beside it.
_TYPES = Suite("types", "mypy over everything", lambda _layout, _say: {})
# Hundreds of processes are started: where Python is told to keep no bytecode, each compiles all of ours again.
_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
_NO_TESTS = 5  # pytest: no tests were collected

Outcome = tuple[str, str]
"""(passed, failed or skipped; why)"""
Result = dict[str, Any]
"""name, result, reason, seconds"""
Output = IO[str] | None
"""Where is printed; None: where it is seen at once."""


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
    whole = not chosen and not pytest_arguments
    results = list[Result]()
    if whole:
        for name, argv in HABITS:
            results.append(_timed(name, partial(_run, call, [sys.executable, *argv], {})))
    wanted = [
        suite
        for suite in SUITES
        if suite.name in chosen or (not chosen and (not suite.on_request or suite.name in required()))
    ]
    if pytest_arguments:
        # who names tests or options (-x, --pdb, -s) wants to see them in order
        wanted = [replace(each, aside=False) for each in wanted]
    run = partial(_suite, call, Layout(call.home, call.state), pytest_arguments=pytest_arguments)
    results += in_turn(with_types(wanted) if whole else wanted, run)
    if whole:
        for suite in SUITES:
            if suite not in wanted:
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


def with_types(suites: Sequence[Suite]) -> list[Suite]:
    """Return the suites with that of the types behind the first that others run beside; where none is, before all."""
    at = next((number for number, suite in enumerate(suites, 1) if suite.aside), 0)
    return [*suites[:at], _TYPES, *suites[at:]]


def in_turn(suites: Sequence[Suite], run: Callable[[Suite, Output], Outcome]) -> Iterator[Result]:
    """Run the suites and yield what became of each. One that is `aside` runs beside those after it.

    What that one prints comes as a whole when it has ended.
    """
    beside: Future[Result] | None = None
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryFile("w+", encoding="utf-8") as printed:

        def ended(waiting: "Future[Result]") -> Result:
            result = waiting.result()
            printed.seek(0)
            click.echo(printed.read(), nl=False)
            return result

        for suite, following in zip_longest(suites, suites[1:]):
            if beside is not None and (suite.alone or suite.aside):
                yield ended(beside)
                beside = None
            if suite.aside and following is not None and not following.alone:
                click.echo(f"\n== {suite.name}: begins, beside what follows")
                beside = pool.submit(_timed, suite.name, partial(run, suite, printed), printed)
            else:
                yield _timed(suite.name, partial(run, suite, None))
        if beside is not None:
            yield ended(beside)


def _timed(name: str, run: Callable[[], Outcome], printed: Output = None) -> Result:
    click.echo(f"\n== {name}", file=printed)
    began = time.monotonic()
    result, reason = run()
    if reason:
        click.echo(f"   {result}: {reason}", file=printed)
    return {"name": name, "result": result, "reason": reason, "seconds": round(time.monotonic() - began, 1)}


def _suite(
    call: Call, layout: Layout, suite: Suite, printed: Output = None, *, pytest_arguments: Sequence[str] = ()
) -> Outcome:
    if suite is _TYPES:
        return _run(call, [sys.executable, "-m", "mypy"], {}, printed=printed)
    missing = "failed" if suite.name in required() else "skipped"
    try:
        environment = suite.prepare(layout, lambda text: click.echo(f"  {text}", file=printed))
    except PrerequisiteError as error:
        return missing, str(error)
    how = pytest_arguments or [*spreading(suite), *map(str, files(suite.name, call.home / "tests"))]
    argv = [sys.executable, "-m", "pytest", "-q", "-m", marker_expression(suite), *how]
    return _run(call, argv, environment, missing, printed)


def _run(
    call: Call,
    argv: list[str],
    environment: Mapping[str, str],
    missing: str = "failed",
    printed: Output = None,
) -> Outcome:
    if printed is not None:
        printed.flush()
    environment = {**os.environ, **_BYTECODE, **environment}
    done = subprocess.run(argv, cwd=call.home, env=environment, stdout=printed, stderr=printed, check=False)
    if done.returncode == _NO_TESTS:
        return missing, "no such test"
    return ("passed" if done.returncode == 0 else "failed"), ""


COMMAND = test
