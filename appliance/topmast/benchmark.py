"""The contract of the room benchmarks/: one module a benchmark, ours and the peers in one run."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from topmast.errors import PrerequisiteError, TopmastError
from topmast.measure import Measure


@dataclass(frozen=True)
class Run:
    """What a benchmark is told. `full` is the size that the numbers are claimed for; the default takes minutes."""

    home: Path
    full: bool
    seed: int
    say: Callable[[str], None]
    trace: Path | None = None
    """Recorded requests, for a benchmark that replays some."""


@dataclass(frozen=True)
class Benchmark:
    """One module of benchmarks/; the module's name is the benchmark's name."""

    name: str
    summary: str
    run: Callable[[Run], Sequence[Measure]]


def names(home: Path) -> list[str]:
    """Return the benchmarks of a clone, sorted. An installed wheel carries none."""
    return sorted(path.stem for path in (home / "benchmarks").glob("*.py"))


def load(home: Path, name: str) -> Benchmark:
    """Return the benchmark of that name. Raises TopmastError naming those there are."""
    path = home / "benchmarks" / f"{name}.py"
    if not (home / "benchmarks").is_dir():
        raise PrerequisiteError("benchmarks run from a clone of the repository; this is an installed package")
    if not path.is_file():
        raise TopmastError(f"no benchmark {name!r}; there are: {', '.join(names(home))}")
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", path)
    if spec is None or spec.loader is None:
        raise TopmastError(f"{path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    benchmark: Benchmark = module.BENCHMARK
    return benchmark
