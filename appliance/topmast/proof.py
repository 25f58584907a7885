"""The contract of the room proofs/: one module a proof that runs the real thing and prints measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from topmast.layout import Layout
from topmast.measure import Measure


@dataclass(frozen=True)
class Trial:
    """What a proof is told. `options` are the values of the proof's own command-line options."""

    layout: Layout
    full: bool
    seed: int
    say: Callable[[str], None]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Proof:
    """One module of proofs/; the module's name is the proof's name. Its options become `topmast prove NAME --…`."""

    name: str
    summary: str
    run: Callable[[Trial], Sequence[Measure]]
    options: Sequence[click.Option] = ()
