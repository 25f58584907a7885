"""The log shipper: read, parse, queue, send, acknowledge."""

__version__ = "0.1.0"
