"""The appliance itself: does it see, evaluate and tell, and what does it take."""

from topmast.dashboard import ENVIRONMENT, INSTANCE, Dashboard, series
from topmast.panel import bar_gauge, or_none, query, stat, table, timeseries, up_or_down

HERE = series(by=(ENVIRONMENT, INSTANCE))
PAGES = series('job="blackbox"', by=(ENVIRONMENT, INSTANCE))
OURS = series('job=~"prometheus|alertmanager|node|exporter|shipper|grafana"', by=(ENVIRONMENT, INSTANCE))

SEEING = [
    up_or_down(
        1,
        "Targets",
        "Whether every target of each job answers its scrapes.",
        query(f"min by (job) (up{HERE})", "{{job}}"),
        alerts=("TargetDown", "ExporterDown", "ContainerMetricsMissing"),
        width=24,
        empty="nothing is scraped yet",
    ),
    timeseries(
        2,
        "Scrape duration",
        "The longest that a scrape of each job took.",
        "s",
        query(f"max by (job) (scrape_duration_seconds{HERE})", "{{job}}"),
        alerts=("TargetDown",),
        width=8,
    ),
    timeseries(
        3,
        "Series in memory",
        "Series that Prometheus holds; the line is where PrometheusSeriesHigh begins.",
        "short",
        query(f"max by (instance) (prometheus_tsdb_head_series{HERE})", "{{instance}}"),
        alerts=("PrometheusSeriesHigh",),
        steps={250000: "orange"},
        width=8,
        log=True,
    ),
    timeseries(
        4,
        "Samples by job",
        "Samples that one scrape of each job brings, stacked.",
        "short",
        query(f"sum by (job) (scrape_samples_post_metric_relabeling{HERE})", "{{job}}"),
        alerts=("PrometheusSeriesHigh",),
        width=8,
        stacked=True,
        decimals=0,
    ),
]

EVALUATING = [
    timeseries(
        5,
        "Evaluation against its interval",
        "Share of its interval that the slowest group of rules takes: at 1 evaluations are skipped.",
        "percentunit",
        query(
            f"max by (instance) (prometheus_rule_group_last_duration_seconds{HERE}"
            f" / prometheus_rule_group_interval_seconds{HERE})",
            "{{instance}}",
        ),
        alerts=("RuleEvaluationFailing",),
        width=8,
    ),
    timeseries(
        6,
        "Failed and skipped evaluations",
        "Evaluations of rules that failed, or that were skipped because the one before took too long.",
        "short",
        [
            query(f"sum(increase(prometheus_rule_evaluation_failures_total{HERE}[$__rate_interval]))", "failed"),
            query(f"sum(increase(prometheus_rule_group_iterations_missed_total{HERE}[$__rate_interval]))", "skipped"),
        ],
        alerts=("RuleEvaluationFailing",),
        width=8,
        bars=True,
        decimals=0,
    ),
    timeseries(
        7,
        "Writes that failed",
        "Writes, compactions and truncations of Prometheus' storage that failed.",
        "short",
        [
            query(f"sum(increase(prometheus_tsdb_wal_writes_failed_total{HERE}[$__rate_interval]))", "writes"),
            query(f"sum(increase(prometheus_tsdb_compactions_failed_total{HERE}[$__rate_interval]))", "compactions"),
            query(
                f"sum(increase(prometheus_tsdb_head_truncations_failed_total{HERE}[$__rate_interval]))", "truncations"
            ),
        ],
        alerts=("PrometheusStorageFailing",),
        width=8,
        bars=True,
        decimals=0,
    ),
]

OUTSIDE = [
    table(
        18,
        "Pages from outside",
        "Whether each page answered with success when it was asked from outside.",
        "none",
        query(f"min by (instance) (probe_success{PAGES})", "{{instance}}", now=True),
        {"instance": "page", "Value": "up"},
        alerts=("UrlDown",),
        steps={1: "green"},
        base="red",
        width=8,
        noValue="no page is asked: topmast targets add url https://…",
    ),
    timeseries(
        19,
        "Time of a page",
        "Time that each page took from outside, from its name to the last byte.",
        "s",
        query(f"max by (instance) (probe_duration_seconds{PAGES})", "{{instance}}"),
        alerts=("UrlSlow",),
        steps={3: "orange"},
        width=8,
        noValue="no page is asked",
    ),
    timeseries(
        20,
        "Certificates",
        "Days until a certificate of each page's chain expires; the line is where UrlCertificateExpiring begins.",
        "d",
        query(f"min by (instance) ((probe_ssl_earliest_cert_expiry{PAGES} - time()) / 86400)", "{{instance}}"),
        alerts=("UrlCertificateExpiring",),
        steps={14: "green"},
        base="orange",
        width=8,
        noValue="no page with a certificate is asked",
    ),
]

TELLING = [
    stat(
        8,
        "Configuration",
        "Whether the last reload of Prometheus' and Alertmanager's configuration was taken.",
        "none",
        [
            query(f"min(prometheus_config_last_reload_successful{HERE})", "Prometheus"),
            query(f"min(alertmanager_config_last_reload_successful{HERE})", "Alertmanager"),
        ],
        alerts=("ConfigReloadFailing",),
        steps={1: "green"},
        base="red",
        width=8,
        height=8,
        filled=True,
        course=False,
        mappings=[
            {
                "type": "value",
                "options": {
                    "0": {"text": "REFUSED", "color": "red", "index": 0},
                    "1": {"text": "TAKEN", "color": "green", "index": 1},
                },
            }
        ],
    ),
    timeseries(
        9,
        "Alerts that did not reach Alertmanager",
        "Alerts that Prometheus dropped, and sends that failed.",
        "short",
        [
            query(f"sum(increase(prometheus_notifications_dropped_total{HERE}[$__rate_interval]))", "dropped"),
            query(f"sum(increase(prometheus_notifications_errors_total{HERE}[$__rate_interval]))", "failed"),
        ],
        alerts=("AlertmanagerUnreachable",),
        width=8,
        bars=True,
        decimals=0,
    ),
    timeseries(
        10,
        "Notifications that failed",
        "Notifications that Alertmanager could not deliver, by kind of channel.",
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
        width=8,
        bars=True,
        stacked=True,
        decimals=0,
    ),
]

EXPORTER = [
    table(
        11,
        "Collectors",
        "Whether each collector of the exporter reached its server.",
        "none",
        query(f"min by (collector, target) (exporter_collector_up{HERE})", "{{collector}} {{target}}", now=True),
        {"collector": "collector", "target": "target", "Value": "up"},
        alerts=("ExporterDown",),
        steps={1: "green"},
        base="red",
        width=8,
        noValue="no exporter is running",
    ),
    timeseries(
        12,
        "Age of the collected",
        "Time since each collector last had an answer.",
        "s",
        query(f"max by (collector, target) (exporter_collector_data_age_seconds{HERE})", "{{collector}} {{target}}"),
        alerts=("ExporterDown",),
        width=8,
        noValue="no exporter is running",
    ),
    bar_gauge(
        13,
        "Largest families",
        "Families of the exporter with more than ten series; beyond 2,000 new label values count under _other.",
        "short",
        query(f"sort_desc(max by (family) (exporter_series{HERE}) > 10)", "{{family}}", now=True),
        alerts=("LabelOverflow",),
        width=8,
        decimals=0,
        noValue="no family has more than ten series",
    ),
    timeseries(
        14,
        "What was counted under _other",
        "Samples whose label values were beyond what is admitted, by family.",
        "short",
        query(
            or_none(
                f"sum by (family) (increase(exporter_label_overflow_total{HERE}[$__rate_interval]))",
                "family",
                "every value was admitted",
            ),
            "{{family}}",
        ),
        alerts=("LabelOverflow",),
        bars=True,
        decimals=0,
        noValue="every label value was admitted",
    ),
    timeseries(
        15,
        "Events that were handed in",
        "Usage events a second that applications pushed, by what became of them.",
        "suffix:/s",
        query(
            f"sum by (source, result) (rate(exporter_ingest_events_total{HERE}[$__rate_interval]))",
            "{{source}} {{result}}",
        ),
        alerts=("LlmCostUntracked",),
        noValue="nothing was handed in",
    ),
    timeseries(
        21,
        "Events that the ledger has not stored",
        "Usage events that wait in the exporter's memory: for the next commit, or for a disk that takes nothing.",
        "short",
        query(f"max by (instance) (exporter_ledger_waiting_events{HERE})", "{{instance}}"),
        alerts=("LedgerStalled",),
        decimals=0,
        noValue="no exporter has a ledger",
    ),
]

TAKING = [
    timeseries(
        16,
        "CPU of the appliance",
        "Share of one processor core that each part of the appliance takes, stacked.",
        "percentunit",
        query(f"sum by (job) (rate(process_cpu_seconds_total{OURS}[$__rate_interval]))", "{{job}}"),
        alerts=("HostCpuHigh",),
        stacked=True,
    ),
    timeseries(
        17,
        "Memory of the appliance",
        "Memory that each part of the appliance holds, stacked.",
        "bytes",
        query(f"sum by (job) (process_resident_memory_bytes{OURS})", "{{job}}"),
        alerts=("HostMemoryLow",),
        stacked=True,
    ),
]

DASHBOARD = Dashboard(
    name="self",
    title="Topmast itself",
    description="Does the appliance see every target, evaluate its rules and tell somebody, and what does it take.",
    variables=(ENVIRONMENT, INSTANCE),
    groups={
        "Seeing": SEEING,
        "From outside": OUTSIDE,
        "Evaluating": EVALUATING,
        "Telling": TELLING,
        "The exporter": EXPORTER,
        "What it takes": TAKING,
    },
)
