"""What a running Logstash would lose, seen before it runs."""

from pathlib import Path

import pytest
from topmast import check
from topmast.checks.logstash import CHECK


def messages(folder: Path) -> list[str]:
    return [spot.message for spot in CHECK.run(check.read([folder], Path("/nowhere")))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("input { beats { port => 5044 } }", "beats: no TLS", id="no TLS"),
        pytest.param("input { beats { ssl => true } }", "ssl is gone since Logstash 9: ssl_enabled", id="old name"),
        pytest.param("input { beats { codec => multiline { } } }", "refuses the multiline codec", id="multiline"),
        pytest.param('input { tcp { host => "0.0.0.0" } }', "listens to everybody without TLS", id="everybody"),
        pytest.param("input { tcp { port => 1 } }", "tcp: not acknowledged", id="tcp alone"),
        pytest.param("input { udp { port => 1 } }", "neither acknowledged nor kept", id="udp"),
        pytest.param('filter { grok { match => { "m" => "%{X}" } } }', "is not anchored", id="unanchored"),
        pytest.param('filter { grok { match => { "m" => "^x" } } }', "timeout_millis => 1000", id="grok's timeout"),
        pytest.param("filter { grok { timeout_millis => 9 } }", "tag_on_failure of its own", id="grok's tag"),
        pytest.param('filter { uuid { target => "id" } }', "a random id", id="random id"),
        pytest.param('filter { fingerprint { method => "UUID" } }', "method UUID: a random id", id="random hash"),
        pytest.param(
            "filter { ruby { code => \"event.set('id', SecureRandom.uuid)\" } }",
            "ruby: a random id",
            id="random code",
        ),
        pytest.param("filter { json { source => x } }", "not a value: 'x'", id="one letter"),
        pytest.param("filter { if [n] > 3 { drop { } } }", "> drops an event without [n]", id="no guard"),
        pytest.param("filter { if [log.level] { drop { } } }", "a field with a dot in its name", id="dotted"),
        pytest.param('filter { mutate { replace => { "host" => "x" } } }', "host is an object", id="host"),
        pytest.param(
            'filter { mutate { copy => { "a" => "b" } rename => { "a" => "c" } } }',
            "rename works before copy",
            id="order",
        ),
        pytest.param('filter { mutate { add_field => { a1 => "b", c1 => "d" } } }', "a comma", id="comma"),
        pytest.param(
            'output { elasticsearch { index => "logs-%{+YYYY.MM.dd}" } }', "an index of each day", id="dated"
        ),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "one.conf").write_text(text)

    assert [each for each in messages(tmp_path) if says in each] != []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        pytest.param("logstash.yml", "node.name: x\n", "queue.type: persisted", id="memory"),
        pytest.param(
            "logstash.yml", "queue.type: persisted\ndead_letter_queue.enable: true\n", "it fills", id="not drained"
        ),
        pytest.param(
            "pipelines.yml", "- {pipeline.id: a, path.config: '/x/*.conf'}\n", "outputs run for all", id="glob"
        ),
        pytest.param("pipelines.yml", "- {pipeline.id: a, queue.type: memory}\n", "dies with Logstash", id="queue"),
    ],
)
def test_what_only_the_files_together_show(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / "one.conf").write_text("filter { }")
    (tmp_path / name).write_text(text)

    assert [each for each in messages(tmp_path) if says in each] != []


def test_a_guard_in_front_is_enough(tmp_path: Path) -> None:
    (tmp_path / "one.conf").write_text("filter { if [n] and [n] > 3 { drop { } } }")

    assert messages(tmp_path) == []


def test_a_way_in_that_acknowledges_stands_beside_tcp(tmp_path: Path) -> None:
    (tmp_path / "one.conf").write_text("input { tcp { port => 1 } http { port => 2 } }")

    assert messages(tmp_path) == []


def test_a_hash_is_no_random_id(tmp_path: Path) -> None:
    (tmp_path / "one.conf").write_text('filter { fingerprint { source => ["message"] method => "SHA256" } }')

    assert messages(tmp_path) == []


def test_ours_has_none() -> None:
    home = Path(__file__).resolve().parents[3]

    assert list(CHECK.run(check.read([], home))) == []
