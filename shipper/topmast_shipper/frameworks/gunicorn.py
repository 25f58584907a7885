"""gunicorn's records in the same form: `gunicorn --logger-class topmast_shipper.frameworks.gunicorn.Logger app:app`.

Access lines are written as records with ECS fields where `--access-logfile` is given. What configure_logging reads
from the environment holds here too. Source: gunicorn/glogging.py.
"""

from datetime import timedelta
from typing import Any

from gunicorn import glogging  # type: ignore[import-untyped] # it has no types

from topmast_shipper.logging import configure_logging


class Logger(glogging.Logger):  # type: ignore[misc] # as above
    """gunicorn's logger class: its two loggers hand on to the root's handler."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        # a reload comes here again, and replaces the handler
        configure_logging(level=self.loglevel)
        for each in (self.error_log, self.access_log):
            for handler in list(each.handlers):
                each.removeHandler(handler)
            each.propagate = True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        if not self.cfg.accesslog:
            return
        status = str(resp.status).split(None, 1)[0]
        fields = {
            "source.ip": environ.get("REMOTE_ADDR"),
            "http.request.method": environ.get("REQUEST_METHOD"),
            "url.path": environ.get("PATH_INFO"),
            "url.query": environ.get("QUERY_STRING") or None,
            "http.response.status_code": int(status) if status.isdecimal() else None,
            "http.response.body.bytes": getattr(resp, "sent", None),
            "http.request.referrer": environ.get("HTTP_REFERER"),
            "user_agent.original": environ.get("HTTP_USER_AGENT"),
            "event.duration": int(request_time.total_seconds() * 1e9),
        }
        extra = {name: value for name, value in fields.items() if value is not None}
        self.access_log.info("%s %s %s", fields["http.request.method"], fields["url.path"], status, extra=extra)
