"""What the shop sells: the names that the database is filled with and that customers ask for."""

CATEGORIES = ("books", "garden", "kitchen", "music", "office", "outdoor", "tools", "toys")
ADJECTIVES = ("blue", "compact", "everyday", "folding", "handmade", "light", "quiet", "sturdy", "wooden", "spare")
NOUNS = ("bench", "box", "kettle", "lamp", "notebook", "rake", "shelf", "speaker", "tent", "wrench")
PRODUCTS = 400


def sku_of(number: int) -> str:
    return f"SKU-{number:04d}"
