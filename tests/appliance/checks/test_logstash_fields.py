"""What Logstash's filters take from each other, seen before it runs."""

from pathlib import Path

import pytest
from topmast import check
from topmast.checks.logstash_fields import CHECK


def messages(folder: Path, text: str) -> list[str]:
    (folder / "one.conf").write_text(text)
    return [spot.message for spot in CHECK.run(check.read([folder], Path("/nowhere")))]


REMOVE = 'mutate { remove_field => ["message"] }'
JSON = 'json { source => "message" }'
GROK = 'grok { match => { "message" => "^%{WORD:a}" } }'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(f"filter {{ {REMOVE} {JSON} }}", "json: reads message, which", id="removed, then read"),
        pytest.param(f"filter {{ {REMOVE} }} filter {{ {GROK} }}", "grok: reads message", id="in two sections"),
        pytest.param(f"filter {{ {REMOVE} if [a] {{ {GROK} }} }}", "grok: reads message", id="read in a branch"),
        pytest.param(
            f"filter {{ if [a] {{ {REMOVE} }} else {{ {REMOVE} }} {JSON} }}", "json: reads", id="removed in every arm"
        ),
        pytest.param(f'filter {{ {REMOVE} mutate {{ add_field => {{ "b1" => "%{{message}}" }} }} }}', "mutate: reads",
                     id="in a text"),
        pytest.param(
            """filter { grok { match => { "message" => '^{"level":"%{WORD:level}"' } } }""", "reads JSON", id="JSON"
        ),
        pytest.param(
            f"input {{ tcp {{ codec => json_lines }} }} filter {{ {JSON} }}", "read the line already", id="twice"
        ),
        pytest.param(
            'filter { mutate { add_field => { "way" => "a" } } } output { if [way] == "a" { stdout { } } }',
            "[@metadata][way]",
            id="stored for the way",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told(tmp_path: Path, text: str, says: str) -> None:
    assert [each for each in messages(tmp_path, text) if says in each] != []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"filter {{ {JSON} {REMOVE} }}", id="read, then removed"),
        pytest.param('filter { json { source => "message" remove_field => ["message"] } }', id="in one"),
        pytest.param(f"filter {{ if [a] {{ {REMOVE} }} {JSON} }}", id="perhaps not removed"),
        pytest.param(
            f'filter {{ {REMOVE} mutate {{ replace => {{ "message" => "x1" }} }} {GROK} }}', id="written again"
        ),
        pytest.param(f"input {{ beats {{ port => 5044 }} }} filter {{ {JSON} }}", id="read once"),
        pytest.param(
            'filter { mutate { add_field => { "[@metadata][way]" => "a1" } } }'
            ' output { if [@metadata][way] == "a1" { stdout { } } }',
            id="metadata",
        ),
        pytest.param('filter { grok { match => { "message" => "^%{WORD:a} : %{WORD:b}" } } }', id="a colon"),
    ],
)
def test_what_is_well_is_left_alone(tmp_path: Path, text: str) -> None:
    assert messages(tmp_path, text) == []


def test_ours_has_none() -> None:
    home = Path(__file__).resolve().parents[3]

    assert list(CHECK.run(check.read([], home))) == []
