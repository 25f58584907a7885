"""OTLP/HTTP at the ingest: what OpenTelemetry says of model calls and of HTTP requests, and nothing else of it."""
