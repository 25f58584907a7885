"""The alerts: what fires, which of them are noise, and whether anybody was told."""

from topmast.dashboard import ENVIRONMENT, INSTANCE, Dashboard, series
from topmast.panel import bar_gauge, fixed, or_none, override, query, stat, table, thresholds, timeseries

HERE = series(by=(ENVIRONMENT, INSTANCE))
ACTIVE = series('state="active"')
FIRING = 'ALERTS{alertstate="firing", alertname!="Watchdog"}'
PENDING = 'ALERTS{alertstate="pending", alertname!="Watchdog"}'
# The Watchdog always fires: how often it was evaluated is how often any alert could have been.
EVALUATIONS = 'max(count_over_time(ALERTS{alertstate="firing", alertname="Watchdog"}[$__range]))'

NOW = [
    stat(
        1,
        "Firing",
        "Alerts that fire now, by severity; the Watchdog, which always fires, is left out.",
        "none",
        [
            query(f'count({FIRING[:-1]}, severity="{severity}"}}) or vector(0)', severity)
            for severity in ("critical", "warning")
        ],
        steps={1: "red"},
        width=8,
        height=5,
        filled=True,
        decimals=0,
        overrides=[override("warning", thresholds=thresholds({1: "orange"}))],
    ),
    stat(
        2,
        "Pending",
        "Alerts whose condition holds, but not yet for long enough to fire.",
        "none",
        query(f"count({PENDING}) or vector(0)", "pending"),
        width=4,
        height=5,
        decimals=0,
    ),
    stat(
        3,
        "Watchdog",
        "The alert that always fires: where it is missing, no alert works.",
        "none",
        query('count(ALERTS{alertname="Watchdog", alertstate="firing"}) or vector(0)', "alert path"),
        alerts=("Watchdog", "AlertmanagerUnreachable"),
        steps={1: "green"},
        base="red",
        width=4,
        height=5,
        course=False,
        mappings=[
            {
                "type": "value",
                "options": {
                    "0": {"text": "MISSING", "color": "red", "index": 0},
                    "1": {"text": "ALIVE", "color": "green", "index": 1},
                },
            }
        ],
    ),
    table(
        4,
        "What fires now",
        "Each firing alert with what it is about.",
        "none",
        query(
            f"sum by (alertname, severity, category) ({FIRING})",
            "{{alertname}}",
            now=True,
        ),
        {"severity": "severity", "alertname": "alert", "category": "category", "Value": "instances"},
        width=8,
        height=5,
        noValue="nothing fires",
    ),
]

HISTORY = [
    timeseries(
        5,
        "Firing by category",
        "Alerts that fire, by category, stacked.",
        "short",
        query(or_none(f"count by (category) ({FIRING})", "category", "none fires"), "{{category}}"),
        bars=True,
        stacked=True,
        decimals=0,
        noValue="nothing has fired in this range",
    ),
    timeseries(
        6,
        "Firing and pending by severity",
        "Alerts by severity, and those that are on their way.",
        "short",
        [
            query(or_none(f"count by (severity) ({FIRING})", "severity", "none fires"), "{{severity}}"),
            query(f"count({PENDING})", "pending"),
        ],
        decimals=0,
        overrides=[fixed("critical", "red"), fixed("warning", "orange"), fixed("pending", "blue")],
        noValue="nothing has fired in this range",
    ),
]

NOISE = [
    bar_gauge(
        7,
        "Share of the time that it fired",
        "How much of the range each alert fired; what fires all the time is not read any more.",
        "percentunit",
        query(
            f"max by (alertname) (count_over_time({FIRING}[$__range])) / on () group_left () {EVALUATIONS}",
            "{{alertname}}",
            now=True,
        ),
        width=8,
        max=1,
        noValue="nothing has fired in this range",
    ),
    bar_gauge(
        8,
        "Times that it began",
        "How often each alert began in the range: a high number is an alert that flaps, and wants a longer `for`.",
        "short",
        query(
            'sum by (alertname) (changes(ALERTS_FOR_STATE{alertname!="Watchdog"}[$__range]) + 1)',
            "{{alertname}}",
            now=True,
        ),
        width=8,
        decimals=0,
        noValue="nothing has begun in this range",
    ),
    bar_gauge(
        9,
        "Share of the time that it was pending",
        "How much of the range each alert was about to fire: much of it without firing is a threshold too near.",
        "percentunit",
        query(
            f"max by (alertname) (count_over_time({PENDING}[$__range])) / on () group_left () {EVALUATIONS}",
            "{{alertname}}",
            now=True,
        ),
        width=8,
        max=1,
        noValue="nothing was pending in this range",
    ),
]

TOLD = [
    timeseries(
        10,
        "Notifications by channel",
        "Notifications that Alertmanager sent, by kind of channel.",
        "short",
        query(
            f"sum by (integration) (increase(alertmanager_notifications_total{HERE}[$__rate_interval])) > 0",
            "{{integration}}",
        ),
        alerts=("NotificationsFailing",),
        bars=True,
        stacked=True,
        width=8,
        decimals=0,
        noValue="nobody was told in this range",
    ),
    timeseries(
        11,
        "Notifications that failed",
        "Notifications that did not reach their channel, by kind of channel.",
        "short",
        query(
            or_none(
                f"sum by (integration) (increase(alertmanager_notifications_failed_total{HERE}[$__rate_interval]))",
                "integration",
                "every one was delivered",
            ),
            "{{integration}}",
        ),
        alerts=("NotificationsFailing",),
        bars=True,
        stacked=True,
        width=8,
        decimals=0,
        noValue="no channel is known",
    ),
    timeseries(
        12,
        "Alerts and silences in Alertmanager",
        "Alerts that Alertmanager holds, by state, and the silences that are in force.",
        "short",
        [
            query(f"sum by (state) (alertmanager_alerts{HERE})", "{{state}}"),
            query(f"sum(alertmanager_silences{ACTIVE})", "silences"),
        ],
        alerts=("AlertmanagerUnreachable",),
        width=8,
        decimals=0,
        noValue="no Alertmanager is watched",
    ),
]

DASHBOARD = Dashboard(
    name="alerts",
    title="Alerts and their noise",
    description="What fires, what fired before, which alerts are noise, and whether anybody was told.",
    variables=(ENVIRONMENT, INSTANCE),
    groups={"Now": NOW, "History": HISTORY, "Noise": NOISE, "Notifications": TOLD},
    since="now-6h",
)
