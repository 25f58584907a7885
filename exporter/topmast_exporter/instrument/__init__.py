"""One module a framework: what an app installs with one line."""
