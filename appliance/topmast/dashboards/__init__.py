"""One module a dashboard, ending in DASHBOARD; `python -m topmast.dashboard` writes their files."""
