"""One module a store or a wire; each ends in SINK."""
