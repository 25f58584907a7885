"""One module a check over monitoring/; the module's name is the check's name; each ends in CHECK."""
