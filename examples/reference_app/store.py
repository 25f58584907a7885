"""The shop's PostgreSQL: products and orders, and the handful of queries that the endpoints need."""

import random
from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from reference_app.catalogue import ADJECTIVES, CATEGORIES, NOUNS, PRODUCTS, sku_of

Row = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    id integer PRIMARY KEY, sku text UNIQUE NOT NULL, name text NOT NULL, category text NOT NULL,
    description text NOT NULL, price_cents integer NOT NULL, stock integer NOT NULL CHECK (stock >= 0));
CREATE TABLE IF NOT EXISTS orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL, total_cents integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS order_lines (
    order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE, product_id integer NOT NULL REFERENCES products,
    quantity integer NOT NULL, PRIMARY KEY (order_id, product_id));
CREATE INDEX IF NOT EXISTS products_category ON products (category, id);
"""

PAGE = 20
# Old orders go, so that a demo left alone for weeks stays small.
ORDERS_KEPT = 5000
# How long a search takes while the fault `slow-query` is on.
SLOW_SECONDS = 1.6


class OutOfStockError(Exception):
    """A product is sold out."""


class Store:
    """Queries over a connection pool that the application opens and closes."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def prepare(self) -> None:
        """Create the tables and the products where they are missing."""
        async with self._pool.connection() as connection, connection.transaction():
            # Two starts at once would both create: the second waits here until the first has committed.
            await connection.execute("SELECT pg_advisory_xact_lock(7204)")
            await connection.execute(SCHEMA)
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "INSERT INTO products (id, sku, name, category, description, price_cents, stock)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    _products(),
                )

    async def products(self, category: str, page: int) -> list[Row]:
        return await self._rows(
            "SELECT sku, name, price_cents, stock FROM products WHERE category = %s ORDER BY id LIMIT %s OFFSET %s",
            (category, PAGE, page * PAGE),
        )

    async def product(self, sku: str) -> Row | None:
        rows = await self._rows(
            "SELECT sku, name, category, description, price_cents, stock FROM products WHERE sku = %s", (sku,)
        )
        return rows[0] if rows else None

    async def search(self, words: str, *, slow: bool = False) -> list[Row]:
        """Return the products whose name or description holds the words."""
        source = f"products, pg_sleep({SLOW_SECONDS})" if slow else "products"
        pattern = "%" + words.replace("%", "").replace("_", " ") + "%"
        return await self._rows(
            f"SELECT sku, name, price_cents FROM {source}"  # noqa: S608 - both texts are constants of this module
            " WHERE name ILIKE %s OR description ILIKE %s ORDER BY stock DESC LIMIT 10",
            (pattern, pattern),
        )

    async def low_stock(self, limit: int) -> list[Row]:
        return await self._rows("SELECT sku, name, stock FROM products ORDER BY stock LIMIT %s", (limit,))

    async def restock(self, sku: str, quantity: int) -> None:
        async with self._pool.connection() as connection:
            await connection.execute("UPDATE products SET stock = stock + %s WHERE sku = %s", (quantity, sku))

    async def checkout(self, customer: str, lines: Sequence[tuple[str, int]]) -> tuple[int, int]:
        """Take the products from stock and store the order; return its id and total in cents.

        Raises OutOfStockError, and then nothing is changed.
        """
        async with self._pool.connection() as connection, connection.transaction():
            bought: list[tuple[int, int]] = []
            total = 0
            # Sorted: two orders of the same products must not lock them in opposite order.
            for sku, quantity in sorted(lines):
                cursor = await connection.execute(
                    "UPDATE products SET stock = stock - %s WHERE sku = %s AND stock >= %s RETURNING id, price_cents",
                    (quantity, sku, quantity),
                )
                row = await cursor.fetchone()
                if row is None:
                    raise OutOfStockError(sku)
                bought.append((row[0], quantity))
                total += row[1] * quantity
            cursor = await connection.execute(
                "INSERT INTO orders (customer, total_cents) VALUES (%s, %s) RETURNING id", (customer, total)
            )
            stored = await cursor.fetchone()
            order = int(stored[0]) if stored else 0
            for product, quantity in bought:
                await connection.execute("INSERT INTO order_lines VALUES (%s, %s, %s)", (order, product, quantity))
            if order % 100 == 0:
                await connection.execute("DELETE FROM orders WHERE id <= %s", (order - ORDERS_KEPT,))
            return order, total

    async def _rows(self, query: str, parameters: Sequence[object]) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, parameters)
            rows: list[Row] = await cursor.fetchall()
            return rows


def _products() -> list[tuple[object, ...]]:
    rng = random.Random(7)
    rows: list[tuple[object, ...]] = []
    for number in range(PRODUCTS):
        name = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"
        category = CATEGORIES[number % len(CATEGORIES)]
        description = f"A {name} for {category}, the {number}th of its kind."
        rows.append((number, sku_of(number), name, category, description, rng.randint(199, 29900), 500))
    return rows
