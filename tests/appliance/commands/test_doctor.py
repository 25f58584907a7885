"""`doctor` prints what it looked at, and changes nothing."""

import json
from pathlib import Path


def test_it_looks_and_leaves_no_trace(topmast, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))

    answer = topmast("doctor", "--port-offset", "41000", "--json")

    names = [each["name"] for each in json.loads(answer.out)["checks"]]
    assert names == ["configuration", "engines", "memory", "disk", "ports", "clock"]
    assert sorted(tmp_path.rglob("*")) == before


def test_compose_mode_asks_for_docker_and_the_kernel(topmast) -> None:
    answer = topmast("doctor", "--mode", "compose", "--json")

    names = [each["name"] for each in json.loads(answer.out)["checks"]]
    assert "docker engine" in names
    assert "vm.max_map_count" in names
