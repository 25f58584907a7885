"""Shell scripts, Dockerfiles and workflows: the linters of their kind, and what those do not know."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def test_shell_scripts_are_clean(tracked: list[Path]) -> None:
    scripts = [
        path
        for path in tracked
        if path.suffix == ".sh" or re.match(rb"#!/bin/(ba)?sh\b|#!/usr/bin/env (ba)?sh\b", path.read_bytes()[:30])
    ]

    done = subprocess.run([BIN / "shellcheck", *scripts], cwd=ROOT, capture_output=True, text=True)

    assert len(scripts) >= 3
    assert done.returncode == 0, done.stdout


def test_shell_scripts_can_be_run(tracked: list[Path]) -> None:
    assert [p for p in tracked if p.read_bytes()[:4] == b"#!/b" and not os.access(p, os.X_OK)] == []


def test_dockerfiles_are_clean(tracked: list[Path]) -> None:
    files = [path for path in tracked if path.name == "Dockerfile" or path.suffix == ".Dockerfile"]

    done = subprocess.run([BIN / "hadolint", *files], cwd=ROOT, capture_output=True, text=True)

    assert len(files) >= 8
    assert done.returncode == 0, done.stdout


def workflows() -> dict[str, Any]:
    return {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}


def test_workflows_pin_actions_by_commit() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))

    assert [used for used in re.findall(r"uses:\s*(\S+)", text) if not re.search(r"@[0-9a-f]{40}$", used)] == []


def test_workflows_may_only_read() -> None:
    assert {name: file["permissions"] for name, file in workflows().items()} == {"ci.yml": {"contents": "read"}}


def test_the_workflow_runs_the_two_commands() -> None:
    jobs = workflows()["ci.yml"]["jobs"]

    commands = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])

    assert ".ci/run" in commands
    assert "./topmast up --demo" in commands


def test_continuous_integration_runs_what_a_person_runs() -> None:
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec ./topmast test")


def test_the_licence_of_every_image_is_told() -> None:
    # By their lines: an override has tags of Compose's own (`!override`) that a plain reader does not know.
    text = "\n".join(path.read_text() for path in ROOT.glob("docker-compose*.yml"))
    named = set(re.findall(r"^\s+image:\s+(\S+):[^:\s]+$", text, re.MULTILINE))

    told = set(re.findall(r"^\| `([^`]+)` \| \S", (ROOT / "docs/licences.md").read_text(), re.MULTILINE))

    assert len(named) >= 12
    assert told == named
