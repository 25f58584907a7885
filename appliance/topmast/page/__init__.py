"""The page on :3001: dashboards, alerts, inbox and log search, drawn from the same files that Grafana loads."""
