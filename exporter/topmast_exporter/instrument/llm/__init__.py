"""One module a model provider's SDK."""
