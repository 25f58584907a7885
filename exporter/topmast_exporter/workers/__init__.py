"""Several workers of one application as one: each sends what it counted, the standalone exporter adds it up."""
