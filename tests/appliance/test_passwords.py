"""Passwords of the stack: asked of the set-up container, replaced in the server first, never on a command line."""

import subprocess
from collections.abc import Sequence

import pytest
from topmast import passwords
from topmast.errors import NotRunningError, TopmastError


class Stack:
    """Answers as `docker compose` does, for one secret; `refuses` is the verb that fails."""

    def __init__(self, value: str = "old", refuses: str = "") -> None:
        self.value, self.refuses = value, refuses
        self.calls: list[tuple[list[str], str]] = []

    def __call__(self, arguments: Sequence[str], text: str) -> "subprocess.CompletedProcess[str]":
        self.calls.append((list(arguments), text))
        code = 1 if arguments[0] == self.refuses else 0
        if "sh" in arguments and arguments[0] == "run":
            self.value = text
        out = self.value if "cat" in arguments else ""
        return subprocess.CompletedProcess([], code if out or "cat" not in arguments else 1, out, "no such container")


def test_it_is_shown() -> None:
    assert passwords.show(Stack("x" * 32), "grafana") == "x" * 32


def test_before_the_first_start_there_is_none() -> None:
    with pytest.raises(NotRunningError, match=r"no password yet; the first `topmast up --mode compose` makes it"):
        passwords.show(Stack(""), "grafana")


@pytest.mark.parametrize(
    ("service", "verbs"),
    [
        pytest.param("elasticsearch", ["run", "exec", "run", "run"], id="the server, the volume, the copies"),
        pytest.param("grafana", ["run", "exec", "run", "run"], id="the same"),
        pytest.param("ingest", ["run", "run", "run", "restart"], id="its reader starts anew"),
    ],
)
def test_a_new_one_reaches_the_server_and_the_volume(service: str, verbs: list[str]) -> None:
    stack = Stack()

    assert passwords.rotate(stack, service, lambda: "new") == "new"

    assert stack.value == "new"
    assert [arguments[0] for arguments, _ in stack.calls] == verbs
    assert not any(secret in arguments for arguments, _ in stack.calls for secret in ("old", "new"))


def test_when_the_server_refuses_nothing_has_changed() -> None:
    stack = Stack(refuses="exec")

    with pytest.raises(TopmastError, match="docker compose exec: no such container"):
        passwords.rotate(stack, "elasticsearch", lambda: "new")

    assert stack.value == "old"
