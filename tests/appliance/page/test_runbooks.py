"""Runbooks become a tree of text and known tags; nothing in them can run."""

import pytest
from starlette.testclient import TestClient
from topmast.layout import Layout
from topmast.page.runbooks import Node, parse


@pytest.mark.parametrize(
    ("markdown", "nodes"),
    [
        pytest.param("# Title", [["h1", {}, ["Title"]]], id="heading"),
        pytest.param(
            "a **b** `c`", [["p", {}, ["a ", ["strong", {}, ["b"]], " ", ["code", {}, ["c"]]]]], id="inline"
        ),
        pytest.param("- one\n- two", [["ul", {}, [["li", {}, ["one"]], ["li", {}, ["two"]]]]], id="tight list"),
        pytest.param("```promql\nup == 0\n```", [["pre", {"language": "promql"}, ["up == 0\n"]]], id="code block"),
        pytest.param("[x](/alerts/A)", [["p", {}, [["a", {"href": "/alerts/A"}, ["x"]]]]], id="link"),
        pytest.param("[x](//evil)", [["p", {}, [["a", {}, ["x"]]]]], id="a link without its scheme"),
        pytest.param("<b>x</b>", [["p", {}, ["<b>x</b>"]]], id="HTML is text"),
        pytest.param("<script>1</script>", [["p", {}, ["<script>1</script>"]]], id="a script is text"),
        pytest.param("![alt](http://x/y.png)", [["p", {}, ["alt"]]], id="an image is its words"),
        pytest.param("---", [["hr", {}, []]], id="rule"),
    ],
)
def test_markdown_becomes_nodes(markdown: str, nodes: list[Node]) -> None:
    assert parse(markdown) == nodes


def test_a_dangerous_link_is_no_link() -> None:
    assert "javascript" not in str([node for node in parse("[x](javascript:alert(1))") if "href" in str(node)])


def test_a_table_keeps_its_rows() -> None:
    [[tag, _, [head, body]]] = parse("| a | b |\n|---|---|\n| 1 | 2 |")

    assert (tag, head[0], body[2][0][2]) == ("table", "thead", [["td", {}, ["1"]], ["td", {}, ["2"]]])


def test_a_runbook_is_served_by_its_alerts_name(client: TestClient, layout: Layout) -> None:
    (layout.home / "docs" / "runbooks" / "HostCpuHigh.md").write_text("# HostCpuHigh\n")

    assert client.get("/api/runbooks").json() == {"runbooks": ["HostCpuHigh"]}
    assert client.get("/api/runbook/HostCpuHigh").json()["nodes"] == [["h1", {}, ["HostCpuHigh"]]]
    assert client.get("/api/runbook/..%2FREADME").status_code == 404
    assert client.get("/api/runbook/Nothing").json()["error"] == "no runbook 'Nothing'"
