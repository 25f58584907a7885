"""A FastAPI application under OpenTelemetry's own instrumentation: it answers some requests and pushes its metrics.

`python shop_sender.py URL`; prints, as JSON, what the SDK recorded: {metric: {count, sum}}.
"""

import json
import sys

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

app = FastAPI()


@app.get("/items/{item}")
def item(item: str) -> str:
    if item == "0":
        raise HTTPException(404)
    return item


@app.get("/broken")
def broken() -> None:
    raise RuntimeError("hunter2")


def main(url: str) -> None:
    pushed = PeriodicExportingMetricReader(OTLPMetricExporter(f"{url}/v1/metrics"), export_interval_millis=3_600_000)
    kept = InMemoryMetricReader()
    provider = MeterProvider([pushed, kept], resource=Resource.create({"service.name": "shop"}))
    FastAPIInstrumentor.instrument_app(app, meter_provider=provider)
    client = TestClient(app, raise_server_exceptions=False)
    for number in range(7):
        client.get(f"/items/{number}?key=hunter2")
    assert provider.force_flush()
    client.get("/broken")
    client.get("/nowhere")
    client.request("BREW", "/items/1")
    assert provider.force_flush()
    assert provider.force_flush()  # cumulative: the same once more
    data = kept.get_metrics_data()
    assert data is not None
    told = {
        metric.name: {
            "count": sum(point.count for point in metric.data.data_points),
            "sum": sum(point.sum for point in metric.data.data_points),
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.endswith("duration")
    }
    provider.shutdown()
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
