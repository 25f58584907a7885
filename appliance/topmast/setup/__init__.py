"""The one-shot set-up services of compose mode: `python -m topmast.setup.NAME`. Each can run again at any time."""
