"""`config show` gives each value its origin; `check` refuses with the place; `schema` is one an editor can use."""

import json
from pathlib import Path

import jsonschema


def test_show_tells_value_and_origin(topmast, tmp_path: Path) -> None:
    file = tmp_path / "topmast.yml"
    file.write_text("environment: staging\n")

    answer = topmast("-c", str(file), "config", "show", "--json")

    told = json.loads(answer.out)
    assert told["values"]["environment"] == "staging"
    assert told["origins"]["$.environment"] == str(file)
    assert told["origins"]["$.slo.availability"] == "default"


def test_show_for_people_is_one_line_a_setting(topmast) -> None:
    lines = topmast("config", "show").out.splitlines()

    assert any(line.split() == ["slo.availability", "0.999", "#", "default"] for line in lines)


def test_show_of_the_demo_names_it_as_the_origin(topmast) -> None:
    told = json.loads(topmast("config", "show", "--demo", "--json").out)

    assert told["origins"]["$.exporter.collectors"] == "demo"


def test_check_says_fine_or_where(topmast, tmp_path: Path) -> None:
    file = tmp_path / "topmast.yml"
    file.write_text("environment: Production\n")

    refused = topmast("-c", str(file), "config", "check")
    file.write_text("environment: production\n")

    assert (refused.code, "$.environment: 'Production'" in refused.err) == (78, True)
    assert json.loads(topmast("-c", str(file), "config", "check", "--json").out) == {"ok": True, "file": str(file)}


def test_the_schema_is_valid_json_schema(topmast) -> None:
    schema = json.loads(topmast("config", "schema", "--json").out)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
