"""Following files that grow, rotate, shrink and vanish: identity, lines, generations, and when to look again."""
