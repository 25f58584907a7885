"""One module a kind of server; the module's name is the collector's name; each ends in COLLECTOR."""
