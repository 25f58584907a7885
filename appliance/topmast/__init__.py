"""Topmast: an observability appliance for teams that run LLM applications."""

__version__ = "0.1.0"
