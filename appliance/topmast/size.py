"""How much machine the appliance may take: `full`, or `lite` for one of 4 GB. Chosen once, then remembered."""

import re

from topmast.layout import Layout

SIZES = ("full", "lite")
# What lite keeps when topmast.yml says nothing, as docker-compose.lite.yml does.
LITE_RETENTION = {"metrics_days": 7, "metrics_bytes": 2 * 1024**3}


def size(layout: Layout, chosen: str | None = None) -> str:
    """Return the size: as chosen (and from then on remembered), as remembered, else full."""
    remembered = layout.state / "size"
    if chosen is not None:
        layout.state.mkdir(parents=True, exist_ok=True)
        remembered.write_text(chosen + "\n", encoding="utf-8")
        return chosen
    found = remembered.read_text(encoding="utf-8").strip() if remembered.is_file() else "full"
    return found if found in SIZES else "full"


def slower(text: str) -> str:
    """Return prometheus.yml with 30 seconds where it has 15: half the samples, half the work."""
    return re.sub(r"^( *(?:scrape|evaluation)_interval: )15s$", r"\g<1>30s", text, flags=re.MULTILINE)
