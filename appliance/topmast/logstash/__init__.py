"""Logstash's pipelines without Logstash: its language parsed, and the filters that ours use carried out."""
