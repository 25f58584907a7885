"""The check `routes` is silent about our house and sees each seeded defect."""

from typing import Any

import pytest
from topmast.checks.routes import CHECK


def test_is_silent_about_our_house(house: Any) -> None:
    assert house.said(CHECK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            'template "topmast.slack.text"',
            'template "topmast.slack.txt"',
            "template topmast.slack.txt: not defined",
            id="a template that is not defined",
        ),
        pytest.param(
            "monitoring/alertmanager/templates/default.tmpl",
            '{{ template "topmast.slack.alert" $alert }}',
            '{{ template "topmast.alert" $alert }}',
            "template topmast.alert: used in templates/",
            id="a template in a template",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "'severity=\"critical\"'",
            "'severty=\"critical\"'",
            "no alert has the label severty",
            id="a typo in a matcher",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "receiver: pagerduty\n      group_wait: 10s\n      continue: true",
            "receiver: slack-critical",
            "does not page",
            id="criticals that page nobody",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "      continue: true\n",
            "",
            "no alert takes it",
            id="no continue",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "    - matchers: ['environment!~\"production|\"']\n      receiver: slack-warning\n",
            "",
            "in staging pages",
            id="staging pages",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "- matchers: ['severity=\"warning\"']\n      receiver: slack-warning",
            "- matchers: ['severity=\"warning\"']\n      receiver: pagerduty",
            "in production pages",
            id="swapped receivers",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "receiver: email-cost",
            "receiver: email-costs",
            "receiver email-costs: nobody",
            id="a receiver that nobody defined",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "receiver: email-cost",
            "receiver: slack-warning",
            "receiver email-cost: no route leads to it",
            id="a receiver that nothing reaches",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "equal: [category, pair, instance, environment]",
            "equal: [category, instance, environment]",
            "without `pair`",
            id="inhibition without its pair",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "equal: [category, pair, instance, environment]",
            "equal: [namespace]",
            "no alert has the label namespace",
            id="inhibition by a label that nobody sets",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "inhibit_rules:\n",
            "inhibit_rules:\n  - source_matchers: ['severity=\"critical\"']\n    equal: [category]\n",
            "mutes",
            id="a second inhibition",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "channel: '#alerts'\n        send_resolved: true",
            "channel: '#alerts'\n        send_resolved: false",
            "set send_resolved: true",
            id="resolved messages are off",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "routing_key: inbox",
            "routing_key: 0123456789abcdef0123456789abcdef",
            "use routing_key_file",
            id="a secret in the file",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "api_url: 'http://page:3002/inbox/slack/slack-warning'",
            "api_url: 'https://hooks.slack.example/services/T0/B0/x'",
            "use api_url_file",
            id="a Slack address in the file",
        ),
        pytest.param(
            "monitoring/alertmanager/alertmanager.yml",
            "    - matchers: ['severity=\"warning\"']\n",
            "    - matchers: ['severity=\"warn\"']\n",
            "falls through to the root",
            id="a warning falls through",
        ),
    ],
)
def test_sees(house: Any, file: str, old: str, new: str, message: str) -> None:
    house.change(file, old, new)

    assert [said for said in house.said(CHECK) if message in said]
