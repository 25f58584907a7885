"""One value changes, every other byte stays: comments, quotes, order, line ends."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from topmast import yamledit
from topmast.yamledit import CannotEditError


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        pytest.param("", "alerts.A.threshold", 0.9, "alerts:\n  A: {threshold: 0.9}\n", id="no file"),
        pytest.param("# mine\n", "alerts.A.for", "15m", "# mine\nalerts:\n  A: {for: 15m}\n", id="comments only"),
        pytest.param("# mine", "a", 1, "# mine\na: 1\n", id="no line end"),
        pytest.param(
            "slo: {availability: 0.99}  # ours\n# end\n",
            "alerts.A.threshold",
            1,
            "slo: {availability: 0.99}  # ours\nalerts:\n  A: {threshold: 1}\n# end\n",
            id="no section",
        ),
        pytest.param(
            "alerts: {A: {for: 15m}}  # calm\n",
            "alerts.A.threshold",
            0.9,
            "alerts: {A: {for: 15m, threshold: 0.9}}  # calm\n",
            id="flow in flow",
        ),
        pytest.param(
            "alerts:\n  A:\n    # since March\n    threshold: 0.8   # was 0.7\n    for: 5m\n\n# next\nslo: {}\n",
            "alerts.A.threshold",
            0.9,
            "alerts:\n  A:\n    # since March\n    threshold: 0.9   # was 0.7\n    for: 5m\n\n# next\nslo: {}\n",
            id="a value in a block",
        ),
        pytest.param(
            "alerts:\n    A:\n        for: 5m # calm\n\n# next\nslo: {}\n",
            "alerts.A.enabled",
            False,
            "alerts:\n    A:\n        for: 5m # calm\n        enabled: false\n\n# next\nslo: {}\n",
            id="a key more, with the block's own indent",
        ),
        pytest.param(
            "alerts:  # none yet\nslo: {}\n",
            "alerts.A.threshold",
            2,
            "alerts:  # none yet\n  A: {threshold: 2}\nslo: {}\n",
            id="an empty section",
        ),
        pytest.param("alerts: {}\n", "alerts.A.threshold", 2, "alerts: {A: {threshold: 2}}\n", id="an empty mapping"),
        pytest.param("alerts: null\n", "alerts.A.for", "1h", "alerts: {A: {for: 1h}}\n", id="null"),
        pytest.param("a: 1\r\nb: 2\r\n", "c", 3, "a: 1\r\nb: 2\r\nc: 3\r\n", id="line ends of Windows"),
        pytest.param(
            "a: |\n  text\n\n\nb: 'é'\n", "b", "yes", 'a: |\n  text\n\n\nb: "yes"\n', id="a word that is none"
        ),
    ],
)  # fmt: skip - a case a line reads best
def test_put(before: str, path: str, value: Any, after: str) -> None:
    assert yamledit.put(before, tuple(path.split(".")), value) == after


ITEM = {"address": "127.0.0.1:8000", "labels": {"environment": "staging"}}
SHOWN = '{address: "127.0.0.1:8000", labels: {environment: staging}}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", f"targets:\n  app:\n    - {SHOWN}\n", id="no file"),
        pytest.param(
            "targets:\n  app:\n  - {address: a:1} # ours\n# end\nslo: {}\n",
            f"targets:\n  app:\n  - {{address: a:1}} # ours\n  - {SHOWN}\n# end\nslo: {{}}\n",
            id="a block list without indent",
        ),
        pytest.param(
            "targets:\n  app:\n    - address: a:1\n      labels:\n        x: y\n",
            f"targets:\n  app:\n    - address: a:1\n      labels:\n        x: y\n    - {SHOWN}\n",
            id="a block in a block",
        ),
        pytest.param(
            "targets: {app: [{address: a:1}]} # ours\n",
            f"targets: {{app: [{{address: a:1}}, {SHOWN}]}} # ours\n",
            id="flow",
        ),
        pytest.param("targets: {app: []}\n", f"targets: {{app: [{SHOWN}]}}\n", id="an empty list"),
        pytest.param(
            "targets:\n  redis: []\n", f"targets:\n  redis: []\n  app:\n    - {SHOWN}\n", id="another job's list"
        ),
    ],
)
def test_append(before: str, after: str) -> None:
    assert yamledit.append(before, ("targets", "app"), ITEM) == after


@pytest.mark.parametrize(
    ("before", "path", "index", "after"),
    [
        pytest.param(
            "a: 1\nalerts:\n  A: {for: 1m}\n# b\nb: 2\n", "alerts.A", None, "a: 1\n# b\nb: 2\n", id="the last"
        ),
        pytest.param(
            "alerts:\n  # of A\n  A:\n    for: 1m # x\n  # of B\n  B: {for: 2m}\n",
            "alerts.A",
            None,
            "alerts:\n  # of A\n  # of B\n  B: {for: 2m}\n",
            id="a block; the comments around it stay",
        ),
        pytest.param(
            "alerts: {A: {for: 1m}, B: {for: 2m}}\n", "alerts.A", None, "alerts: {B: {for: 2m}}\n", id="first"
        ),
        pytest.param(
            "alerts: {A: {for: 1m}, B: {for: 2m}}\n", "alerts.B", None, "alerts: {A: {for: 1m}}\n", id="last"
        ),
        pytest.param("t: [{a: 1}, {a: 2}]\n", "t", 0, "t: [{a: 2}]\n", id="an item"),
        pytest.param("t:\n- a: 1\n  b: 2\n- a: 3 # c\n", "t", 0, "t:\n- a: 3 # c\n", id="a block item"),
        pytest.param("x: 1\r\nt:\r\n- a: 1\r\n", "t", 0, "x: 1\r\n", id="the last item, Windows"),
        pytest.param("# all\nt: [{a: 1}]\n", "t", 0, "# all\n", id="nothing left"),
    ],
)
def test_remove(before: str, path: str, index: int | None, after: str) -> None:
    assert yamledit.remove(before, tuple(path.split(".")), index) == after


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: &x {for: 1m}\nalerts: *x\n", "more than it should", id="an alias"),
        pytest.param("- a\n", "no mapping", id="a list"),
        pytest.param("alerts: 7\n", "alerts: not a mapping", id="a number"),
    ],
)
def test_refuses_what_it_cannot_do_safely(text: str, message: str) -> None:
    with pytest.raises(CannotEditError, match=message):
        yamledit.put(text, ("alerts", "threshold"), 1)


_SECTIONS = st.dictionaries(
    st.sampled_from(["alerts", "slo", "x y", "0"]),
    st.one_of(
        st.none(),
        st.dictionaries(
            st.sampled_from(["A", "B", "no"]), st.dictionaries(st.sampled_from(["for", "t"]), st.floats(0, 9))
        ),
        st.lists(st.dictionaries(st.just("a"), st.text(max_size=5)), max_size=3),
    ),
    max_size=4,
)


@given(_SECTIONS, st.sampled_from([True, False, None]), st.integers(2, 6))
def test_whatever_the_style_only_that_value_changes(sections: dict[str, Any], flow: bool | None, indent: int) -> None:
    sections["alerts"] = sections.get("alerts") if isinstance(sections.get("alerts"), dict) else None
    text = yaml.safe_dump(sections, default_flow_style=flow, indent=indent, allow_unicode=True)

    put = yaml.safe_load(yamledit.put(text, ("alerts", "A", "t"), 5))
    back = yaml.safe_load(yamledit.remove(yamledit.put(text, ("alerts", "Z", "t"), 5), ("alerts", "Z"))) or {}

    others = {key: value for key, value in sections.items() if key != "alerts"}
    assert put["alerts"]["A"]["t"] == 5
    assert {key: value for key, value in put.items() if key != "alerts"} == others
    assert (back.pop("alerts", None) or {}, back) == (sections["alerts"] or {}, others)
