"""The client's own parsers are the oracle: what we write, they read back as what was put in."""

import math
import string
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Metric, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample
from topmast_exporter.admission import clean
from topmast_exporter.registry import Registry
from topmast_exporter.render import OPENMETRICS, TEXT, render, wants_openmetrics
from topmast_exporter.testing import value

OPENMETRICS_ACCEPT = "application/openmetrics-text; version=1.0.0"
# What Prometheus 2.42 and 3.x ask with.
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"  # noqa: E501 as it is sent
PROMETHEUS_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"  # noqa: E501 as it is sent

names = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12).map(lambda text: f"x{text}y")
values = st.text(max_size=40)
documentation = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40).map(str.strip)
amounts = st.floats(min_value=0, max_value=1e15)
readings = st.floats()
observations = st.floats(min_value=0, max_value=1e9)

Expected = dict[tuple[str, frozenset[tuple[str, str]]], float]


@st.composite
def filled(draw: st.DrawFn) -> tuple[Registry, Expected]:
    """A registry with up to four families, and the samples that must be read back."""
    registry, expected = Registry(), {}
    for name in draw(st.lists(names, unique=True, max_size=4)):
        kind = draw(st.sampled_from(["counter", "gauge", "histogram"]))
        label_sets = draw(
            st.lists(st.tuples(values, values), max_size=3, unique_by=lambda pair: tuple(map(clean, pair)))
        )
        text = draw(documentation)
        for pair in label_sets:
            labels = frozenset({("a", clean(pair[0])), ("b", clean(pair[1]))})
            if kind == "counter":
                amount = draw(amounts)
                registry.counter(f"{name}_total", text, ("a", "b")).labels(*pair).inc(amount)
                expected[(f"{name}_total", labels)] = amount
            elif kind == "gauge":
                reading = draw(readings)
                registry.gauge(name, text, ("a", "b")).labels(*pair).set(reading)
                expected[(name, labels)] = reading
            else:
                series = registry.histogram(name, text, ("a", "b"), (0.1, 1, 1e6)).labels(*pair)
                seen = draw(st.lists(observations, max_size=5))
                total = 0.0
                for one in seen:
                    series.observe(one, trace_id=draw(st.none() | values.map(clean)))
                    total += one
                for bound in (0.1, 1.0, 1e6, math.inf):
                    le = "+Inf" if bound == math.inf else str(bound)
                    key = (f"{name}_bucket", labels | {("le", le)})
                    expected[key] = sum(one <= bound for one in seen)
                expected[(f"{name}_count", labels)] = len(seen)
                expected[(f"{name}_sum", labels)] = total
    return registry, expected


def read(families: Iterable[Metric]) -> Expected:
    return {
        (sample.name, frozenset(sample.labels.items())): float(sample.value)
        for family in families
        if not family.name.startswith("exporter_")
        for sample in family.samples
    }


def same(read_back: Expected, expected: Expected) -> bool:
    return read_back.keys() == expected.keys() and all(
        one == expected[key] or (math.isnan(one) and math.isnan(expected[key])) for key, one in read_back.items()
    )


@given(filled())
def test_text_is_read_back_as_it_was_put_in(pair: tuple[Registry, Expected]) -> None:
    registry, expected = pair

    body, content_type = render(registry)

    assert content_type == TEXT
    assert same(read(parse_text(body.decode())), expected)


@given(filled())
def test_openmetrics_is_read_back_as_it_was_put_in(pair: tuple[Registry, Expected]) -> None:
    registry, expected = pair

    body, content_type = render(registry, OPENMETRICS_ACCEPT)

    assert content_type == OPENMETRICS
    assert body.endswith(b"# EOF\n")
    assert same(read(parse_openmetrics(body.decode())), expected)


@given(filled())
def test_our_text_and_the_clients_say_the_same(pair: tuple[Registry, Expected]) -> None:
    registry, _ = pair
    clients = CollectorRegistry()
    clients.register(registry)

    assert same(read(parse_text(render(registry)[0].decode())), read(parse_text(generate_latest(clients).decode())))


def test_one_scrape_as_text() -> None:
    registry = Registry()
    registry.counter("a_total", 'Help with \\ and "quotes"\nand a line.', ("path",)).labels('q"\\').inc()
    registry.histogram("h", "A histogram.", (), (0.5,)).labels().observe(0.25, trace_id="abc")

    body = render(registry, names=frozenset({"a_total", "h_count"}))[0].decode()

    assert body == (
        '# HELP a_total Help with \\\\ and "quotes"\\nand a line.\n'
        "# TYPE a_total counter\n"
        'a_total{path="q\\"\\\\"} 1.0\n'
        "# HELP h A histogram.\n"
        "# TYPE h histogram\n"
        'h_bucket{le="0.5"} 1\n'
        'h_bucket{le="+Inf"} 1\n'
        "h_count 1\n"
        "h_sum 0.25\n"
    )


def test_exemplars_are_in_openmetrics_only() -> None:
    registry = Registry()
    registry.histogram("h", "h", (), (0.5,)).labels().observe(0.25, trace_id='4bf9"\\n2')
    registry.counter("c_total", "c").labels().inc(2, trace_id="abc")

    found = {
        sample.name: sample.exemplar
        for family in parse_openmetrics(render(registry, OPENMETRICS_ACCEPT)[0].decode())
        for sample in family.samples
        if sample.exemplar
    }

    assert {name: (one.labels, one.value) for name, one in found.items()} == {
        "h_bucket": ({"trace_id": "4bf9n2"}, 0.25),
        "c_total": ({"trace_id": "abc"}, 2.0),
    }
    assert b"trace_id" not in render(registry)[0]


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("*/*", False, id="curl"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", False, id="browser"),
        pytest.param(PROMETHEUS_2, True, id="Prometheus 2"),
        pytest.param(PROMETHEUS_3, True, id="Prometheus 3"),
        pytest.param("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;q=0.5", False, id="prefers text"),
        pytest.param("application/openmetrics-text;q=0", False, id="refuses"),
        pytest.param("application/openmetrics-text;version=2.0.0", False, id="a version we do not write"),
        pytest.param("application/openmetrics-text;q=x;;,", False, id="nonsense"),
    ],
)
def test_the_format_follows_accept(accept: str, openmetrics: bool) -> None:
    assert wants_openmetrics(accept) is openmetrics


def test_a_counter_whose_community_name_lacks_total_keeps_its_name() -> None:
    registry = Registry()
    registry.counter("pg_stat_database_xact_commit", "Ours.").labels().inc()
    foreign = Metric("pg_stat_database_xact_rollback", "Theirs.", "counter")
    foreign.add_sample("pg_stat_database_xact_rollback", {}, 3)
    registry.register(Fixed([foreign]))
    asked = frozenset({"pg_stat_database_xact_commit", "pg_stat_database_xact_rollback"})

    text = render(registry, names=asked)[0].decode()
    openmetrics = render(registry, OPENMETRICS_ACCEPT, asked)[0].decode()

    assert [line for line in text.splitlines() if "HELP" not in line] == [
        "# TYPE pg_stat_database_xact_commit counter",
        "pg_stat_database_xact_commit 1.0",
        "# TYPE pg_stat_database_xact_rollback counter",
        "pg_stat_database_xact_rollback 3.0",
    ]
    assert [(one.name, one.type) for one in parse_openmetrics(openmetrics)] == [
        ("pg_stat_database_xact_commit", "unknown"),
        ("pg_stat_database_xact_rollback", "unknown"),
    ]


class Fixed:
    """A foreign collector with these metrics."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


class Broken:
    """A foreign collector that raises."""

    def collect(self) -> Iterator[Metric]:
        raise RuntimeError("a secret: hunter2")


def everything() -> CollectorRegistry:
    """Every kind of metric that the client knows."""
    clients = CollectorRegistry()
    Counter("theirs", "A counter.", ["x"], registry=clients).labels('é"\\\n').inc(2, exemplar={"trace_id": "t1"})
    Gauge("theirs_gauge", "A gauge.", registry=clients).set(math.inf)
    Histogram("theirs_seconds", "A histogram.", registry=clients).observe(0.3, exemplar={"trace_id": "t2"})
    Summary("theirs_summary", "A summary.", registry=clients).observe(4)
    Info("theirs_build", "Info.", registry=clients).info({"version": "1"})
    Enum("theirs_state", "An enum.", states=["on", "off"], registry=clients).state("off")
    return clients


def without_created(families: Iterable[Metric]) -> list[Sample]:
    return [sample for family in families for sample in family.samples if not sample.name.endswith("_created")]


def test_what_prometheus_client_has_is_exposed_unchanged_without_created_lines() -> None:
    clients, registry = everything(), Registry()
    registry.register(clients)

    text = render(registry)[0].decode()

    theirs = without_created(parse_text(generate_latest(clients).decode()))
    ours = [sample for sample in without_created(parse_text(text)) if sample.name.startswith("theirs")]
    assert ours == theirs
    assert "_created" not in text


def test_foreign_metrics_and_their_exemplars_are_in_openmetrics() -> None:
    registry = Registry()
    registry.register(everything())

    body = render(registry, OPENMETRICS_ACCEPT)[0].decode()

    families = {family.name: family for family in parse_openmetrics(body)}
    kinds = {name: family.type for name, family in families.items() if name.startswith("theirs")}
    assert kinds == {
        "theirs": "counter",
        "theirs_gauge": "gauge",
        "theirs_seconds": "histogram",
        "theirs_summary": "summary",
        "theirs_build": "info",
        "theirs_state": "stateset",
    }
    assert [sample.exemplar.labels for sample in families["theirs"].samples if sample.exemplar] == [
        {"trace_id": "t1"}
    ]


def test_a_broken_collector_costs_only_itself() -> None:
    registry = Registry()
    registry.register(Broken())
    registry.register(everything())

    body = render(registry)[0]

    assert b"theirs_gauge +Inf" in body
    assert b"hunter2" not in body
    assert value(registry, "exporter_internal_errors_total", site="foreign_collector") == 1


def test_a_name_is_exposed_once() -> None:
    registry = Registry()
    registry.gauge("twice", "Ours.").labels().set(1)
    theirs = Metric("twice", "Theirs.", "gauge")
    theirs.add_sample("twice", {}, 2)
    registry.register(Fixed([theirs, theirs]))

    assert render(registry)[0].count(b"# TYPE twice gauge") == 1


def test_only_the_asked_for_families_are_exposed() -> None:
    registry = Registry()
    registry.counter("a_total", "a")
    registry.histogram("h", "h", (), (1,))
    registry.register(everything())

    families = parse_text(render(registry, names=frozenset({"a_total", "h_bucket", "theirs_gauge"}))[0].decode())

    assert [family.name for family in families] == ["a", "h", "theirs_gauge"]
