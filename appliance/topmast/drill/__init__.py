"""The fire drill: every alert through a real Prometheus and Alertmanager to receivers that read the messages."""
