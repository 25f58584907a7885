"""Every panel of the running demo has data, or says rightly why not, for every value of every variable."""

import re
import time

import pytest
from running import Appliance, wait_for
from topmast.layout import Layout, find_home
from topmast.panelquery import Prometheus, Window
from topmast.proofs import panels
from topmast.proofs.panels import Seen

pytestmark = pytest.mark.live

# What the demo does not have, and what does not happen in it unless it is broken.
NOT_IN_THE_DEMO = {
    "alerts: Share of the time that it fired",
    "alerts: Share of the time that it was pending",
    "alerts: Times that it began",
    "alerts: What fires now",
    "databases: Cluster",
    "databases: Elasticsearch disk",
    "databases: Elasticsearch heap",
    "databases: MySQL",
    "databases: MySQL connections",
    "databases: MySQL queries",
    "logs: Logstash",
    "logs: Refused and put aside",
    "self: Certificates",
    "self: Pages from outside",
    "self: Time of a page",
}


def test_no_panel_is_empty_without_a_reason_or_wrong(demo: Appliance) -> None:
    layout = Layout(find_home(), demo.state, demo.offset)
    seen: list[Seen] = []

    def all_is_there() -> bool:
        seen[:] = panels._every(layout, lambda _: None)
        return {each.where for each in seen if each.empty and "=" not in each.where} <= NOT_IN_THE_DEMO

    # A young demo has not run every agent yet.
    wait_for("every panel of the demo", all_is_there, seconds=120)

    assert [each.where for each in seen if not each.reading.has_data and not each.empty] == []
    assert [each.reading for each in seen if each.reading.wrong or each.reading.errors] == []


def test_the_demos_caches_have_at_least_fifteen_families(demo: Appliance) -> None:
    prometheus = Prometheus(Layout(find_home(), demo.state, demo.offset).url("prometheus"))
    now = time.time()

    def families() -> set[str]:
        window = Window(now - 600, time.time(), prometheus.scrape_seconds())
        names = prometheus.values_of('{__name__=~"cache_.*"}', "__name__", window)
        return {re.sub("_(bucket|sum|count)$", "", name) for name in names}

    wait_for("the families of the caches", lambda: len(families()) >= 15, seconds=60)
