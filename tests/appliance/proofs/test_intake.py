"""The intake proof: what it generates is what is asked for, and it sees a formatter that fails."""

import json
import logging
from pathlib import Path

import pytest
from topmast import hostile, planted
from topmast.proofs import intake


def test_there_are_a_thousand_hostile_kinds_each_of_one_name() -> None:
    kinds = hostile.kinds()

    assert len(kinds) >= 1000
    assert len({kind.name for kind in kinds}) == len(kinds)


def test_none_of_every_seventh_kind_is_lost_invalid_or_raised() -> None:
    # a full run takes seconds; seven shares no factor with the number of ways
    found = list(intake.hostile_records(hostile.kinds()[::7]))

    assert [(one.name, one.value) for one in found] == [
        ("intake.hostile_lost", 0),
        ("intake.invalid_json", 0),
        ("intake.raised", 0),
    ]
    assert found[0].peer_value


def test_a_formatter_that_loses_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Losing(intake.SpoolHandler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.__dict__[hostile.MARK] % 2:
                super().emit(record)

    monkeypatch.setattr(intake, "SpoolHandler", Losing)

    lost, *_ = intake.hostile_records(hostile.kinds()[:10])

    assert (lost.value, lost.holds) == (5, False)


def test_there_are_enough_secrets_and_none_is_missed() -> None:
    found = planted.planted(7)

    assert len(found) >= 200
    assert len({each.name for each in found}) == len(found)
    assert intake.secrets(7).value == 0


def test_another_seed_has_other_secrets_and_none_is_missed() -> None:
    assert {each.secret for each in planted.planted(8)}.isdisjoint(each.secret for each in planted.planted(7))
    assert intake.secrets(8).value == 0


def test_what_is_planted_is_in_what_a_formatter_without_redaction_would_write() -> None:
    for each in planted.planted(7):
        written = json.dumps([each.message, {n: repr(v) for n, v in each.extra.items()}]).replace("\\", "")

        assert each.secret in written, each.name


def test_no_clean_line_is_masked() -> None:
    assert intake.false_positives(7, 2_000).value == 0


def test_a_redactor_that_masks_too_much_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planted, "_CLEAN", ("password=hunter2",))

    assert intake.false_positives(7, 10).holds is False


def test_the_proof_is_there(tmp_path: Path) -> None:
    assert intake.PROOF.name == "intake"
