"""Instruments and collectors: what a service measures of itself, and what servers tell about themselves."""

__version__ = "0.1.0"
