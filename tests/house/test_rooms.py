"""The law of every plug-in room: a module a thing, one constant at its end, a test of its name."""

import ast
import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Room:
    """One folder of plug-ins."""

    folder: str
    package: str
    constant: str
    tests: str


ROOMS = (
    Room("appliance/topmast/commands", "topmast.commands", "COMMAND", "tests/appliance/commands"),
    Room("appliance/topmast/checks", "topmast.checks", "CHECK", "tests/appliance/checks"),
    Room("appliance/topmast/proofs", "topmast.proofs", "PROOF", "tests/appliance/proofs"),
    Room("appliance/topmast/engines", "topmast.engines", "ENGINE", "tests/appliance/engines"),
    Room(
        "exporter/topmast_exporter/collectors",
        "topmast_exporter.collectors",
        "COLLECTOR",
        "tests/exporter/collectors",
    ),
    Room("shipper/topmast_shipper/inputs", "topmast_shipper.inputs", "INPUT", "tests/shipper/inputs"),
    Room("shipper/topmast_shipper/parsers", "topmast_shipper.parsers", "PARSER", "tests/shipper/parsers"),
    Room("shipper/topmast_shipper/sinks", "topmast_shipper.sinks", "SINK", "tests/shipper/sinks"),
    Room("benchmarks", "", "BENCHMARK", "tests/benchmarks"),
)


def modules(room: Room) -> list[Path]:
    return sorted(path for path in (ROOT / room.folder).glob("*.py") if path.stem != "__init__")


THINGS = [
    pytest.param(room, path, id=f"{room.folder.rsplit('/', 1)[-1]}/{path.stem}")
    for room in ROOMS
    for path in modules(room)
]


def load(room: Room, path: Path) -> Any:
    """Return the module's constant."""
    if room.package:
        return getattr(importlib.import_module(f"{room.package}.{path.stem}"), room.constant)
    spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, room.constant)


@pytest.mark.parametrize(("room", "path"), THINGS)
def test_ends_in_its_constant(room: Room, path: Path) -> None:
    last = ast.parse(path.read_text()).body[-1]

    targets = (
        last.targets if isinstance(last, ast.Assign) else [last.target] if isinstance(last, ast.AnnAssign) else []
    )

    assert [target.id for target in targets if isinstance(target, ast.Name)] == [room.constant]


@pytest.mark.parametrize(("room", "path"), THINGS)
def test_has_the_name_of_its_module(room: Room, path: Path) -> None:
    assert load(room, path).name.replace("-", "_") == path.stem


@pytest.mark.parametrize(("room", "path"), THINGS)
def test_has_a_test_of_its_name(room: Room, path: Path) -> None:
    mirror = ROOT / room.tests / f"test_{path.stem}.py"

    assert mirror.is_file(), f"missing: {mirror.relative_to(ROOT)}"


@pytest.mark.parametrize("room", [room for room in ROOMS if room.package], ids=lambda room: room.package)
def test_the_folder_is_the_registry(room: Room) -> None:
    """An `__init__.py` says what the room is for, and lists nothing."""
    body = ast.parse((ROOT / room.folder / "__init__.py").read_text()).body

    assert [ast.unparse(node) for node in body if not isinstance(node, ast.Expr)] == []


def leaves(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
    """Return the commands that do something: a group's are its sub-commands."""
    if not isinstance(command, click.Group):
        return [(name, command)]
    context = click.Context(command)
    subs = [(sub, command.get_command(context, sub)) for sub in command.list_commands(context)]
    return [leaf for sub, each in subs if each is not None for leaf in leaves(f"{name} {sub}", each)]


def command_leaves() -> list[Any]:
    room = ROOMS[0]
    found = []
    for path in modules(room):
        try:
            command = load(room, path)
        except Exception as error:  # noqa: BLE001 - a module that cannot be imported must not hide the others
            found.append(pytest.param(path.stem, error, id=path.stem))
            continue
        found += [pytest.param(name, leaf, id=name) for name, leaf in leaves(path.stem, command)]
    return found


@pytest.mark.parametrize(("name", "command"), command_leaves())
def test_a_command_speaks_to_machines_and_people(name: str, command: Any) -> None:
    assert isinstance(command, click.Command), command

    options = {word for parameter in command.params for word in parameter.opts}
    silent = [p.opts for p in command.params if isinstance(p, click.Option) and not (p.help or p.hidden)]
    first = (command.help or "").strip().split("\n\n")[0]

    assert "--json" in options, f"topmast {name} has no --json"
    assert first.endswith((".", ":")), f"topmast {name}: its help does not start with a sentence: {first!r}"
    assert [opts for opts in silent if opts not in (["--suite"],)] == [], f"topmast {name}: options without help"
