"""The reference app is no distribution: its folder is put on the path, as the demo's engines do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
