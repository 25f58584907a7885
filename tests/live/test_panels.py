"""Every panel of the running demo has data, or says rightly why not, for every value of every variable."""

import pytest
from running import Appliance
from topmast.layout import Layout, find_home
from topmast.proofs import panels

pytestmark = pytest.mark.live


def test_no_panel_is_empty_without_a_reason_or_wrong(demo: Appliance) -> None:
    told: list[str] = []

    seen = list(panels._every(Layout(find_home(), demo.state, demo.offset), told.append))

    assert [each.where for each in seen if not each.reading.has_data and not each.empty] == []
    assert [each.reading for each in seen if each.reading.wrong or each.reading.errors] == []
    # What is not in the demo is said.
    assert {"MySQL", "Elasticsearch heap", "Logstash"} <= {each.split(": ")[2] for each in told}
