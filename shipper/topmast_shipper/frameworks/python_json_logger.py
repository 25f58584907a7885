"""python-json-logger with all its options, and two promises of ours: no record is lost or invalid, no secret told.

`fmt`, `prefix`, `rename_fields`, `static_fields`, `defaults`, `reserved_attrs`, `timestamp` and the rest do what they
do there; the names that it writes (`levelname`, `asctime`, `exc_info`) become ECS on intake. EcsFormatter is
faster.
"""

import logging
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.core import BaseJsonFormatter

from topmast_shipper import harmless
from topmast_shipper.formatter import EcsFormatter
from topmast_shipper.redaction import Redactor


class JsonFormatter(BaseJsonFormatter):
    """For applications whose fields python-json-logger's options describe already. Never raises."""

    def __init__(self, *arguments: Any, redactor: Redactor | None = None, **options: Any) -> None:
        """The arguments are python-json-logger's; `redactor` masks the usual secrets unless it is given."""
        super().__init__(*arguments, **options)
        self._redactor = redactor or Redactor()
        self._ours = EcsFormatter(redactor=self._redactor)

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception:  # noqa: BLE001 - whatever a record is made of: the careful formatter has an answer
            return self._ours.format(record)

    def jsonify_log_record(self, log_data: Mapping[str, Any]) -> str:
        return self._redactor.json(harmless.dump(dict(log_data))).decode()
