"""One module a command; the module's name (with - for _) is the command's name; each ends in COMMAND."""
