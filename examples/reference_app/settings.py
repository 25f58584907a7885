"""Where the shop finds its database, its cache and its model provider: environment variables, all with defaults."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a start is told."""

    host: str = "127.0.0.1"
    """Where it listens; a container's own networks with 0.0.0.0."""
    port: int = 18000
    database: str = "host=127.0.0.1 port=15432 dbname=shop user=shop"
    """libpq's connection string, without the password."""
    database_password_file: Path | None = None
    redis_url: str = "redis://127.0.0.1:16379/0"
    model_url: str = "http://127.0.0.1:18010/v1"
    logs: Path = Path("logs")
    faults: Path | None = None
    seed: int = 7
    log_max_bytes: int = 5_000_000
    log_files: int = 3

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        def path(name: str) -> Path | None:
            return Path(env[name]) if env.get(name) else None

        return cls(
            host=env.get("HOST", cls.host),
            port=int(env.get("PORT", cls.port)),
            database=env.get("SHOP_DATABASE", cls.database),
            database_password_file=path("SHOP_DATABASE_PASSWORD_FILE"),
            redis_url=env.get("SHOP_REDIS_URL", cls.redis_url),
            model_url=env.get("SHOP_MODEL_URL", cls.model_url),
            logs=path("SHOP_LOGS") or cls.logs,
            faults=path("DEMO_FAULTS"),
            seed=int(env.get("DEMO_SEED", cls.seed)),
            log_files=int(env.get("SHOP_LOG_FILES", cls.log_files)),
        )

    def conninfo(self) -> str:
        """Return the connection string with the password; never log it."""
        if self.database_password_file is None:
            return self.database
        password = self.database_password_file.read_text(encoding="utf-8").strip()
        return f"{self.database} password={password}"
