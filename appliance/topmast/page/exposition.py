"""What the page says of itself on /metrics, so that it is a target like the others and its death an alert.

Two families: written by hand, for a registry would cost more memory than the rest of the page's own state.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from topmast.page.heartbeat import Heartbeat
from topmast.page.inbox import Inbox

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CHANNELS = ("email", "pagerduty", "slack", "webhook")


def render(inbox: Inbox, heartbeat: Heartbeat) -> str:
    """Return the text that Prometheus reads."""
    lines = [
        "# HELP page_notifications_total Notifications that the inbox has taken since the page's start.",
        "# TYPE page_notifications_total counter",
        # From the start at 0: the first one is an increase.
        *(f'page_notifications_total{{channel="{each}"}} {inbox.appended[each]}' for each in CHANNELS),
    ]
    age = heartbeat.age_seconds()
    if age is not None:
        lines += [
            "# HELP page_heartbeat_age_seconds Since the evaluation of the Watchdog that was heard last.",
            "# TYPE page_heartbeat_age_seconds gauge",
            f"page_heartbeat_age_seconds {age:.3f}",
        ]
    return "\n".join(lines) + "\n"


def route(inbox: Inbox, heartbeat: Heartbeat) -> Route:
    """Return the route of /metrics."""

    async def metrics(_: Request) -> Response:
        # From the event loop itself, as /healthz: nothing here waits.
        return Response(render(inbox, heartbeat), media_type=CONTENT_TYPE)

    return Route("/metrics", metrics)
