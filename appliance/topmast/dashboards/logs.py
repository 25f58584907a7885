"""The logs: how many lines at which level, the newest errors themselves, and whether lines arrive."""

from topmast.dashboard import ENVIRONMENT, INSTANCE, Dashboard, series
from topmast.panel import fixed, log_lines, query, stat, timeseries

IN = series()
HERE = series(by=(ENVIRONMENT, INSTANCE))
BAD = 'level=~"error|critical|fatal|alert|emergency"'

LINES = [
    timeseries(
        1,
        "Lines by level",
        "Log lines by level, stacked.",
        "short",
        query(f"sum by (level) (increase(log_events_total{IN}[$__rate_interval]))", "{{level}}"),
        alerts=("NewErrorSignatures",),
        bars=True,
        stacked=True,
        decimals=0,
        overrides=[
            fixed("debug", "purple"),
            fixed("info", "blue"),
            fixed("warning", "orange"),
            fixed("error", "red"),
            fixed("critical", "dark-red"),
        ],
        noValue="no log is read",
    ),
    timeseries(
        2,
        "Errors by service",
        "Log lines at error level and above, by service, stacked.",
        "short",
        query(
            f"sum by (service) (increase(log_events_total{series(BAD)}[$__rate_interval]))",
            "{{service}}",
        ),
        alerts=("NewErrorSignatures",),
        bars=True,
        stacked=True,
        decimals=0,
        noValue="no error in this range",
    ),
    timeseries(
        3,
        "Share of errors",
        "Share of a service's lines that are at error level and above.",
        "percentunit",
        query(
            f"sum by (service) (rate(log_events_total{series(BAD)}[$__rate_interval]))"
            f" / (sum by (service) (rate(log_events_total{IN}[$__rate_interval])) > 0)",
            "{{service}}",
        ),
        alerts=("NewErrorSignatures",),
        noValue="no error in this range",
    ),
    timeseries(
        4,
        "Errors never seen before",
        "Kinds of errors (stack or message shape) that a service logged for the first time.",
        "short",
        query(
            f"sum by (service) (increase(log_error_signatures_new_total{IN}[$__rate_interval]))",
            "{{service}}",
        ),
        alerts=("NewErrorSignatures",),
        bars=True,
        stacked=True,
        decimals=0,
        noValue="no new kind of error",
    ),
]

NEWEST = [
    log_lines(5, "Newest errors", "The newest lines at error level and above.", "log.level:(error OR critical)"),
    log_lines(6, "Newest lines", "The newest lines of every service.", "log.level:*"),
]

DELIVERY = [
    stat(
        7,
        "Lines lost",
        "Lines that were dropped in this range; it must stay 0.",
        "short",
        query(
            f"sum(increase(shipper_lost_total{HERE}[$__range])) or 0 * sum(shipper_files_open{HERE})",
            "lost",
            now=True,
        ),
        alerts=("ShipperLosing",),
        steps={1: "red"},
        decimals=0,
        height=8,
        course=False,
        noValue="no shipper is running",
    ),
    timeseries(
        8,
        "Read and sent",
        "Lines a second that inputs read and that sinks took.",
        "suffix:/s",
        [
            query(f"sum by (input) (rate(shipper_events_read_total{HERE}[$__rate_interval]))", "read: {{input}}"),
            query(f"sum by (sink) (rate(shipper_events_sent_total{HERE}[$__rate_interval]))", "sent: {{sink}}"),
        ],
        alerts=("ShipperLagging",),
        width=9,
        noValue="no shipper is running",
    ),
    timeseries(
        9,
        "Oldest unsent line",
        "Age of the oldest line that could not be sent yet; the line is where ShipperLagging begins.",
        "s",
        query(f"max by (instance) (shipper_oldest_unsent_seconds{HERE})", "{{instance}}"),
        alerts=("ShipperLagging",),
        steps={300: "orange"},
        width=9,
        noValue="no shipper is running",
    ),
    timeseries(
        10,
        "Waiting in files",
        "Bytes of log files that are not read yet, by input.",
        "bytes",
        query(f"sum by (input) (shipper_lag_bytes{HERE})", "{{input}}"),
        alerts=("ShipperLagging",),
        noValue="no shipper is running",
    ),
    timeseries(
        11,
        "Refused and put aside",
        "Lines that a sink refused, that went to the dead letters, and sends that failed, by reason.",
        "short",
        [
            query(
                f"sum by (reason) (increase(shipper_events_refused_total{HERE}[$__rate_interval]))",
                "refused: {{reason}}",
            ),
            query(
                f"sum by (reason) (increase(shipper_dead_letters_total{HERE}[$__rate_interval]))",
                "dead letter: {{reason}}",
            ),
            query(
                f"sum by (reason) (increase(shipper_send_errors_total{HERE}[$__rate_interval]))",
                "failed send: {{reason}}",
            ),
        ],
        alerts=("ShipperLosing", "LogstashDeadLettering"),
        bars=True,
        decimals=0,
        noValue="every line was taken",
    ),
    timeseries(
        12,
        "Logstash",
        "Events a second that come in to and go out of each pipeline of Logstash.",
        "suffix:/s",
        [
            query(
                f"sum by (pipeline) (rate(logstash_pipeline_events_in_total{HERE}[$__rate_interval]))",
                "in: {{pipeline}}",
            ),
            query(
                f"sum by (pipeline) (rate(logstash_pipeline_events_out_total{HERE}[$__rate_interval]))",
                "out: {{pipeline}}",
            ),
        ],
        alerts=("LogstashDown", "LogstashDeadLettering"),
        width=24,
        height=6,
        noValue="needs Logstash (compose mode)",
    ),
]

DASHBOARD = Dashboard(
    name="logs",
    title="Logs",
    description="How many lines at which level, the newest errors themselves, and whether every line arrives.",
    variables=(ENVIRONMENT, INSTANCE),
    groups={"Lines": LINES, "Newest": NEWEST, "Delivery": DELIVERY},
)
