"""Settings of every process, from the environment. Built once at the entry point and passed down."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Everything an operator can set. Temporal's own variables (``TEMPORAL_ADDRESS`` …) are read by its SDK."""

    model_config = SettingsConfigDict(env_prefix="TOOLOO_", frozen=True, populate_by_name=True, extra="ignore")

    home: Path = Field(default=CHECKOUT / ".tooloo", description="State of a local stack: data, logs, the admin key.")
    database_url: str = Field(
        default="", validation_alias="DATABASE_URL", description="postgresql://… of the database."
    )
    secret: SecretStr = Field(
        default=SecretStr(""), description="Master secret: seals stored answers and secrets; 32+ characters."
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on.")
    port: int = Field(default=3000, description="Port the API listens on.")
    public_url: str = Field(default="", description="Base of links in answers; empty: http://host:port.")
    temporal_ui_url: str = Field(default="http://127.0.0.1:8233", description="Base of links to the Temporal Web UI.")
    authors: bool = Field(default=False, description="Whether the role `author` exists.")
    repo_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(CHECKOUT,), description="Folders whose repositories may be loaded by path, separated like PATH."
    )
    store: Path | None = Field(default=None, description="Object store of the context service; empty: home/store.")
    store_gib: float = Field(
        default=20.0, gt=0, description="GiB of the object store above which the least recently used goes."
    )
    repos_per_user: int = Field(default=50, ge=1, description="Repositories one user may have.")
    activity_months: int = Field(
        default=24, ge=1, le=1_200, description="Months of activity events kept in PostgreSQL besides the current one."
    )
    archive_directory: Path | None = Field(
        default=None, description="Folder of activity events that are older; empty: home/archive."
    )
    forge_url: str = Field(default="https://github.com", description="Base address for owner/repo.")
    allow_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="host:port or CIDR:port that may be called although not public https; comma-separated."
    )
    session_gap_seconds: float = Field(
        default=1_800.0, gt=0, description="Pause after which an activity event begins a new session."
    )
    jwt_secret: SecretStr = Field(default=SecretStr(""), description="HS256 secret of accepted JWTs; empty: none are.")
    log_level: str = "INFO"

    @field_validator("repo_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part).resolve() for part in value.split(os.pathsep) if part)
        return value

    @field_validator("allow_addresses", mode="before")
    @classmethod
    def _split_addresses(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def base_url(self) -> str:
        """Base address of links to this API, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def store_path(self) -> Path:
        """Where the context service keeps repositories."""
        return self.store or self.home / "store"

    @property
    def index_path(self) -> Path:
        """Where the context service keeps what searches read; it can be made again."""
        return self.store_path / "index"

    @property
    def archive_path(self) -> Path:
        """Where old activity events are files."""
        return self.archive_directory or self.home / "archive"
