"""The check `scrape_jobs` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.scrape_jobs import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "  - job_name: traefik\n    file_sd_configs:\n      - files: [targets/traefik.yml]\n",
            "",
            "the job traefik is missing",
            id="a job is gone",
        ),
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "job_name: traefik",
            "job_name: shipper",
            "job shipper stands twice",
            id="a job stands twice",
        ),
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "files: [targets/node.yml]",
            "files: [targets/app.yml]",
            "its targets stand in targets/node.yml",
            id="targets of another job",
        ),
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "scrape_timeout: 10s",
            "scrape_timeout: 20s",
            "longer than scrape_interval",
            id="a timeout beyond the interval",
        ),
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "environment: production",
            "environment: $ENVIRONMENT",
            "3.x expands",
            id="a dollar",
        ),
        pytest.param(
            "monitoring/prometheus/prometheus.yml",
            "- self/*.yml",
            "- myself/*.yml",
            "nothing reads self/",
            id="rules that nobody loads",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
