"""Thirty defects that routes, inhibition and templates can have, to be seeded into ours: each must be noticed.

amtool check-config accepts nearly all of them. Most are taken from what happened to others (ALERTMANAGER's issues
#507, #1063, #1727; the template's name that silences every message).
"""

from dataclasses import dataclass

CONFIG = "alertmanager.yml"
TEMPLATES = "templates/default.tmpl"


@dataclass(frozen=True)
class Defect:
    """One edit of one file below monitoring/alertmanager/."""

    name: str
    old: str
    new: str
    file: str = CONFIG


_CRITICAL = "- matchers: ['severity=\"critical\"']\n      receiver: pagerduty"
DEFECTS = (
    Defect("a template's name spelled wrong", 'template "topmast.slack.text"', 'template "topmast.slack.txt"'),
    Defect("the title's name spelled wrong", 'template "topmast.title"', 'template "topmast.titel"'),
    Defect("a label spelled wrong in a matcher", 'severity="critical"\']', 'severty="critical"\']'),
    Defect("a value spelled wrong in a matcher", "['severity=\"critical\"']", "['severity=\"critcal\"']"),
    Defect(
        "a value in another case",
        "'category=\"cost\"', 'severity=\"warning\"'",
        "'category=\"cost\"', 'severity=\"Warning\"'",
    ),
    Defect("a category that there is not", 'category="cost"', 'category="costs"'),
    Defect("the page does not go on to Slack", "group_wait: 10s\n      continue: true", "group_wait: 10s"),
    Defect("staging pages", 'environment!~"production|"', 'environment=~"nowhere"'),
    Defect("nobody's environment counts as staging", 'environment!~"production|"', 'environment!="production"'),
    Defect("swapped receivers", _CRITICAL, "- matchers: ['severity=\"critical\"']\n      receiver: email-cost"),
    Defect("a receiver that is not defined", "receiver: slack-critical", "receiver: slack-criticals"),
    Defect("warnings that page", "      receiver: email-cost", "      receiver: pagerduty"),
    Defect("the heartbeat on the root", "'alertname=\"Watchdog\"'", "'alertname=\"WatchDog\"'"),
    Defect("a heartbeat every four hours", "      repeat_interval: 1m\n", ""),
    Defect(
        "a heartbeat that says it is resolved",
        "heartbeat'  # the inbox\n        send_resolved: false",
        "heartbeat'  # the inbox\n        send_resolved: true",
    ),
    Defect(
        "send_resolved off",
        "'#alerts-critical'\n        send_resolved: true",
        "'#alerts-critical'\n        send_resolved: false",
    ),
    Defect(
        "send_resolved left out of the mail", "'costs@localhost'\n        send_resolved: true", "'costs@localhost'"
    ),
    Defect("an empty Slack message", "        text: '{{ template \"topmast.slack.text\" . }}'\n", ""),
    Defect(
        "a page without severity",
        "        severity: '{{ if .CommonLabels.severity }}{{ .CommonLabels.severity }}{{ else }}error{{ end }}'\n",
        "",
    ),
    Defect("inhibition without the pair", "equal: [category, pair, instance, ", "equal: [category, instance, "),
    Defect("inhibition across machines", "equal: [category, pair, instance, ", "equal: [category, pair, "),
    Defect("inhibition across environments", ", instance, environment]", ", instance]"),
    Defect(
        "inhibition on a label of Kubernetes", "equal: [category, pair, instance, environment]", "equal: [namespace]"
    ),
    Defect(
        "warnings mute criticals",
        "source_matchers: ['severity=\"critical\"']\n    target_matchers: ['severity=\"warning\"']",
        "source_matchers: ['severity=\"warning\"']\n    target_matchers: ['severity=\"critical\"']",
    ),
    Defect(
        "a second inhibition that looked sensible",
        "    equal: [category, pair, instance, environment]\n",
        "    equal: [category, pair, instance, environment]\n"
        "  - source_matchers: ['alertname=\"AppMetricsMissing\"']\n"
        "    target_matchers: ['category=~\"llm|cost\"']\n    equal: [environment]\n",
    ),
    Defect("a message a machine", "group_by: [alertname, category]", "group_by: [alertname, category, instance]"),
    Defect(
        "a page that waits five minutes",
        "receiver: pagerduty\n      group_wait: 10s",
        "receiver: pagerduty\n      group_wait: 5m",
    ),
    Defect(
        "a field that no alert has",
        ".Annotations.description }}{{ template",
        ".Annotation.description }}{{ template",
        TEMPLATES,
    ),
    Defect("a label that speaks Slack", '| reReplaceAll "<" "&lt;" ', "", TEMPLATES),
    Defect("the runbook's link is gone", '<{{ template "topmast.link.runbook" . }}|Runbook> · ', "", TEMPLATES),
)
