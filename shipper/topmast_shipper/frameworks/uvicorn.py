"""uvicorn's records in the same form: `uvicorn.run(app, log_config=log_config("shop"))`.

Its access lines come with ECS fields. Source: uvicorn/logging.py and uvicorn/config.py (LOGGING_CONFIG).
"""

import logging
from typing import Any

from topmast_shipper.logging import configure_logging

_ACCESS = 5  # client address, method, path with query, HTTP version, status


class AccessFields(logging.Filter):
    """Adds the request's fields to a record of uvicorn.access."""

    def filter(self, record: logging.LogRecord) -> bool:
        arguments = record.args
        if isinstance(arguments, tuple) and len(arguments) == _ACCESS:
            client, method, target, version, status = arguments
            path, _, query = str(target).partition("?")
            address, _, port = str(client).rpartition(":")
            fields = {
                "source.ip": address or None,
                "source.port": int(port) if port.isdecimal() else None,
                "http.request.method": method,
                "url.path": path,
                "url.query": query or None,
                "http.version": version,
                "http.response.status_code": status,
            }
            vars(record).update({name: value for name, value in fields.items() if value is not None})
        return True


def log_config(service: str = "", **options: Any) -> dict[str, Any]:
    """Configure logging (the arguments of configure_logging) and return uvicorn's log_config: it joins in."""
    configure_logging(service, **options)
    joined = {"handlers": [], "propagate": True, "level": "INFO"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"access": {"()": AccessFields}},
        "loggers": {
            "uvicorn": joined,
            "uvicorn.error": joined,
            "uvicorn.access": {**joined, "filters": ["access"]},
        },
    }
