"""Token prices in integer pico-USD: compile, price, reprice."""
