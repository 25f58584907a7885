"""`python -m topmast_exporter -c FILE [--once|--check]`: the standalone exporter."""

from topmast_exporter.standalone import main

if __name__ == "__main__":
    raise SystemExit(main())
