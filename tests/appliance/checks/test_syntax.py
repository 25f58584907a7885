"""The check `syntax` is silent about our house and sees each seeded defect."""

from pathlib import Path
from typing import Any

import pytest
from topmast import check
from topmast.check import Spot
from topmast.checks.syntax import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "ratio_rate5m > 0.85",
            "ratio_rate5m > ",
            "HostCpuHigh: not PromQL",
            id="PromQL with a hole",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "for: 10m",
            "for: ten",
            "not a duration: 'ten'",
            id="a duration with a word",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "humanizePercentage }} busy",
            "humanizePercentage } busy",
            "do not match",
            id="a template that does not close",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "{{ . }}{{ else }}(no target){{ end }}",
            "{{ . }}{{ else }}(no target)",
            "`{{ end }}` is missing",
            id="a block that does not end",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "{{ $value | humanizePercentage }} busy",
            "{{ $vlaue | humanizePercentage }} busy",
            "$vlaue is not defined",
            id="a variable that is not there",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "{{ with $labels.instance }}",
            "{{ with }}",
            "`with` has no condition",
            id="a block without a condition",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "CPU of {{ $labels.instance }} is",
            "CPU of {{ else }} is",
            "an `{{ else }}` outside",
            id="an else without its if",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "        for: 10m",
            "        fro: 10m",
            "unknown key 'fro'",
            id="an unknown key",
        ),
        pytest.param(
            "monitoring/prometheus/alerts/cpu.yml",
            "  - name: cpu\n",
            "  - name: cpu\n    query_offset: 1m\n",
            "unknown key 'query_offset'",
            id="a key of a newer Prometheus",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]


GROUP = "groups:\n  - name: mine\n    rules:\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("groups: [", "1: not YAML", id="no YAML"),
        pytest.param("- a\n", "1: a rule file is a mapping", id="a list"),
        pytest.param("hello", "a rule file is a mapping", id="a word"),
        pytest.param("groups: {a: b}", "1: `groups` is a list", id="groups as a mapping"),
        pytest.param("groups:\n  - rules: []", "2: a group needs a `name`", id="no name"),
        pytest.param(GROUP + "      - alert: A", "4: 'A' has no `expr`", id="no expression"),
        pytest.param(GROUP + "      - {alert: A, record: b, expr: x}", "4: a rule has exactly one", id="both kinds"),
        pytest.param(GROUP + "      - {alert: A, expr: nosuch(x)}", "4: A: not PromQL", id="an unknown function"),
        pytest.param(GROUP + "      - {alert: A, expr: x > 1}\n" * 2, "5: A stands twice", id="twice the same"),
        pytest.param(
            GROUP + "      - {alert: A, expr: x, labels: [a]}", "`labels` is a mapping", id="labels as a list"
        ),
    ],
)
def test_says_where_and_what(said_of: Any, text: str, message: str) -> None:
    assert [said for said in said_of(CHECK, text) if message in said]


def test_a_binary_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_bytes(b"groups:\n\x7fELF\xff\xfe\x00\x01")

    found = list(CHECK.run(check.read([path], tmp_path)))

    assert found == [Spot(path, 2, "not UTF-8 text: is it a binary? save it as UTF-8")]


def test_a_rule_file_of_ten_megabytes_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text("groups: []\n" + "# padding\n" * 1_000_000)

    found = list(CHECK.run(check.read([path], tmp_path)))

    assert [(spot.path, spot.line) for spot in found] == [(path, 1)]
    assert "split it" in found[0].message


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    found = list(CHECK.run(check.read([tmp_path / "none.yml"], tmp_path)))

    assert found == [Spot(tmp_path / "none.yml", 1, "no such file or folder: correct the path")]
