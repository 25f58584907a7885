"""A small shop with an assistant: the workload that every dashboard, alert and proof of Topmast is shown on."""

__version__ = "1.4.2"
