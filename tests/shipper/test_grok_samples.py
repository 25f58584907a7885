"""The pattern files under the shipper's engine: every sample, and hostile lines within their time."""

import pytest
from topmast import groksamples
from topmast_shipper import patterns

SAMPLES = [pytest.param(each, id=f"{each.pattern}: {each.line[:50]!r}") for each in groksamples.samples()]
NAMES = sorted({each.pattern for each in groksamples.samples()})


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_means_what_it_says(sample: groksamples.Sample) -> None:
    found = patterns.compile_pattern(sample.pattern, patterns.own()).match(sample.line)

    if sample.fields is None:
        assert found is None
    else:
        assert found is not None
        assert {name: found.get(name) for name in sample.fields} == sample.fields


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_line_ends_in_time(name: str) -> None:
    # a second is Logstash's own deadline for a line; the suite's is what fails here
    grok = patterns.compile_pattern(name, patterns.own())

    for line in groksamples.HOSTILE:
        grok.match(line)


def test_there_are_samples_of_every_kind_of_server() -> None:
    assert len(NAMES) >= 15
    assert {"FASTAPI", "NGINX_ACCESS", "POSTGRESQL", "REDIS", "MYSQL_SLOW", "CELERY", "LLM_CALL"} <= set(NAMES)
