"""`topmast mysql grants`; that they are enough is tested beside the collector."""

import json

from click.testing import CliRunner
from topmast.cli import topmast


def test_mariadb_has_a_right_more() -> None:
    plain = CliRunner().invoke(topmast, ["mysql", "grants", "--user", "o'neill"])
    maria = CliRunner().invoke(topmast, ["mysql", "grants", "--mariadb", "--json"])

    assert "GRANT SELECT ON performance_schema.* TO 'o''neill'@'localhost';" in plain.output
    assert "SLAVE MONITOR" not in plain.output
    assert json.loads(maria.output)["statements"][-1] == "GRANT SLAVE MONITOR ON *.* TO 'topmast'@'localhost';"
