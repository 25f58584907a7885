"""One module a source of events; each ends in INPUT."""
