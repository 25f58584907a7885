"""One module a framework: how its own records come to the same place in the same form."""
