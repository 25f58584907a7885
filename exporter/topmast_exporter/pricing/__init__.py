"""Token prices: compiled from genai-prices into integers, priced exactly, unknown where they are unknown."""
