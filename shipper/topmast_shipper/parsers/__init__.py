"""One module a line format; each ends in PARSER."""
