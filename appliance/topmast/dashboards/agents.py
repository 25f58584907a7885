"""Tasks of an agent platform: do they succeed, how long do they take and wait, what holds them up; open sockets."""

from topmast.dashboard import ENVIRONMENT, INSTANCE, Dashboard, series
from topmast.panel import exemplars, fixed, or_none, query, stat, timeseries

IN = series()
HERE = series(by=(ENVIRONMENT, INSTANCE))


def p95(name: str, by: str = "agent") -> str:
    """Return the query of what 95 of 100 stay below."""
    return f"histogram_quantile(0.95, sum by (le, {by}) (rate({name}_bucket{HERE}[$__rate_interval])))"


TASKS = [
    stat(
        1,
        "Success by agent",
        "Share of the tasks of the last 15 minutes that succeeded; what the user cancelled does not count.",
        "percentunit",
        query(f"max by (agent) (agent:agent_success:ratio_increase15m{IN})", "{{agent}}"),
        alerts=("AgentSuccessRateLow",),
        steps={0.9: "green"},
        base="red",
        width=24,
        noValue="no agent has run",
    ),
    timeseries(
        2,
        "Tasks by outcome",
        "Tasks that ended, a minute, by how they ended, stacked.",
        "suffix:/min",
        query(f"60 * sum by (status) (rate(agent_executions_total{HERE}[$__rate_interval]))", "{{status}}"),
        alerts=("AgentSuccessRateLow",),
        stacked=True,
        overrides=[
            fixed("success", "green"),
            fixed("failure", "red"),
            fixed("timeout", "orange"),
            fixed("cancelled", "blue"),
        ],
        noValue="no agent has run",
    ),
    timeseries(
        3,
        "Success",
        "Share of the tasks of the last 15 minutes that succeeded; the line is where AgentSuccessRateLow begins.",
        "percentunit",
        query(f"max by (agent) (agent:agent_success:ratio_increase15m{IN})", "{{agent}}"),
        alerts=("AgentSuccessRateLow",),
        steps={0.9: "green"},
        base="red",
        calcs=("lastNotNull", "min", "max"),
        max=1,
        noValue="no agent has run",
    ),
]

TIMES = [
    timeseries(
        4,
        "Run time P95",
        "95 of 100 tasks end within this time; the line is where AgentExecutionSlow begins.",
        "s",
        [
            query(f"max by (agent) (agent:agent_execution_seconds:p95_10m{IN})", "{{agent}}"),
            exemplars(f"agent_execution_seconds_bucket{HERE}"),
        ],
        alerts=("AgentExecutionSlow",),
        steps={60: "orange"},
        width=8,
        noValue="no agent has run",
    ),
    timeseries(
        5,
        "Start time P95",
        "95 of 100 tasks run within this time after they were created; the line is the 5 s that a user waits for.",
        "s",
        query(p95("agent_start_seconds"), "{{agent}}"),
        alerts=("AgentExecutionSlow",),
        steps={5: "orange"},
        width=8,
        noValue="no task was started in this range",
    ),
    timeseries(
        6,
        "Wait in the queue P95",
        "95 of 100 tasks wait no longer than this until a worker takes them.",
        "s",
        query(p95("agent_task_queue_wait_seconds"), "{{agent}}"),
        alerts=("AgentExecutionSlow",),
        width=8,
        noValue="no task has waited in this range",
    ),
]

QUEUE = [
    timeseries(
        7,
        "Tasks running",
        "Tasks that run now, and as many as may run at once.",
        "short",
        [
            query(f"sum by (agent) (agent_tasks_running{HERE})", "{{agent}}"),
            query(f"sum by (agent) (agent_tasks_max{HERE})", "{{agent}}, at most"),
        ],
        alerts=("AgentExecutionSlow",),
        width=8,
        decimals=0,
        noValue="no agent is known",
    ),
    timeseries(
        8,
        "Tasks waiting",
        "Tasks in the queue, by agent, stacked.",
        "short",
        query(f"sum by (agent) (agent_tasks_queued{HERE})", "{{agent}}"),
        alerts=("AgentExecutionSlow",),
        width=8,
        stacked=True,
        decimals=0,
        noValue="no agent is known",
    ),
    timeseries(
        9,
        "Pools",
        "Share of each pool that is in use: executor containers, port ranges, workers.",
        "percentunit",
        query(
            f"sum by (pool) (agent_pool_in_use{HERE}) / (sum by (pool) (agent_pool_max{HERE}) > 0)",
            "{{pool}}",
        ),
        alerts=("AgentExecutionSlow",),
        width=8,
        max=1,
        noValue="no pool is known",
    ),
    timeseries(
        10,
        "Executors that could not be removed",
        "Clean-ups that failed, by reason: each leaves a container or a port behind.",
        "short",
        query(
            or_none(
                f"sum by (agent, reason) (increase(agent_cleanup_failures_total{HERE}[$__rate_interval]))",
                "agent",
                "every executor was removed",
            ),
            "{{agent}} {{reason}}",
        ),
        alerts=("AgentExecutionSlow",),
        width=24,
        height=6,
        bars=True,
        decimals=0,
        noValue="every executor was removed",
    ),
]

SOCKETS = [
    timeseries(
        11,
        "Open websockets",
        "Connections that are open now, by route and transport, stacked.",
        "short",
        query(f"sum by (route, transport) (app_websocket_connections{HERE})", "{{route}} {{transport}}"),
        alerts=("AppEventLoopBlocked",),
        stacked=True,
        decimals=0,
        noValue="no route has websockets",
    ),
    timeseries(
        12,
        "Messages by event",
        "Messages a second over websockets, by event and direction.",
        "suffix:/s",
        query(
            f"sum by (event, direction) (rate(app_websocket_messages_total{HERE}[$__rate_interval]))",
            "{{event}} {{direction}}",
        ),
        alerts=("AppEventLoopBlocked",),
        noValue="no messages in this range",
    ),
]

DASHBOARD = Dashboard(
    name="agents",
    title="Agents",
    description="Do the tasks of agents succeed, how long do they take and wait, what holds them up; open sockets.",
    variables=(ENVIRONMENT, INSTANCE),
    groups={"Tasks": TASKS, "Time": TIMES, "Queue and pools": QUEUE, "Websockets": SOCKETS},
)
