"""Secrets of users, and which one a repository is asked for with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("owner_id", sa.String(), sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("host", sa.String()),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _now("created_at"),
        _now("updated_at"),
    )
    op.add_column("repository_users", sa.Column("credential", sa.String()))


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
