"""joni.py: what Logstash's engine finds comes back as values; the samples mean the same to both engines."""

from pathlib import Path

import pytest
from topmast import joni
from topmast.errors import PrerequisiteError
from topmast.proofs import intake
from topmast_shipper import patterns

HOME = Path(__file__).resolve().parents[2]


def test_fields_come_back_with_their_types() -> None:
    assert joni._fields("[a][b]=Integer:Nw==\tc=Float:MS41\td=String:eA==\t") == {"[a][b]": 7, "c": 1.5, "d": "x"}
    assert joni._fields("") == {}
    assert joni._fields("-") is None


def test_an_engine_that_differs_is_seen() -> None:
    own = patterns.own()

    def engine(lines: object) -> list[dict[str, object] | None]:
        found = [patterns.compile_pattern(name, own).match(line) for name, line in lines]
        return [None, *found[1:]]

    taken = intake.parity(engine)

    assert taken.holds is False
    assert "NGINX_ACCESS" in taken.note


def test_without_the_engine_the_measure_is_not_taken() -> None:
    def engine(_lines: object) -> list[dict[str, object] | None]:
        raise PrerequisiteError("no java on PATH")

    assert (intake.parity(engine).holds, intake.parity(engine).note) == (None, "no java on PATH")


@pytest.mark.elasticsearch
def test_the_samples_mean_the_same_to_logstashs_engine(tmp_path: Path) -> None:
    taken = intake.parity(lambda lines: joni.match(patterns.own(), lines, tmp_path, lambda _text: None))

    assert (taken.value, taken.holds) == (1, True)
