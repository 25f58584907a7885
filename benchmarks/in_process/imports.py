"""What an import costs an application that runs asyncio anyway.

    python imports.py ours|peer

Prints {"asyncio": seconds, "added": seconds} as JSON, CPU time. Run by benchmarks/exporter.py, once a process.
"""

import json
import sys
import time

began = time.process_time()
import asyncio  # noqa: E402, F401 - what is measured

between = time.process_time()
if sys.argv[1] == "ours":
    from topmast_exporter.instrument.asgi import instrument  # noqa: F401 - what is measured
    from topmast_exporter.instrument.cache import wrap  # noqa: F401 - what is measured
else:
    from prometheus_fastapi_instrumentator import Instrumentator  # noqa: F401 - what is measured
print(json.dumps({"asyncio": between - began, "added": time.process_time() - between}))
