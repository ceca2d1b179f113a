"""Repositories of the context service, who asked for them, and what their branches named."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("ref", sa.String()),
        sa.Column("commit", sa.String()),
        sa.Column("commits", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error", postgresql.JSONB()),
        sa.Column("run_id", sa.String()),
        sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _now("created_at"),
        sa.Column("loaded_at", sa.DateTime(timezone=True)),
        _now("used_at"),
    )
    op.create_table(
        "repository_users",
        _repository(),
        sa.Column("owner_id", sa.String(), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("ref", sa.String()),
        sa.Column("run_id", sa.String()),
        sa.Column("granted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("shares", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _now("created_at"),
    )
    op.create_index("ix_repository_users_owner_id", "repository_users", ["owner_id"])
    op.create_table(
        "repository_refs",
        _repository(),
        sa.Column("ref", sa.String(), primary_key=True),
        sa.Column("commit", sa.String(), nullable=False),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        _now("loaded_at"),
    )


def _repository() -> sa.Column[object]:
    return sa.Column(
        "repository_id", sa.String(), sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True
    )


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
