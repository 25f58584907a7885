"""One module a proof that runs the real thing (`topmast prove NAME`); each ends in PROOF."""
