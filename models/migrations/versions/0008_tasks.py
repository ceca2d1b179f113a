"""Tasks: what runs by a schedule, when it was paused, and which runs it has started."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner_id", sa.String(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("schedule", postgresql.JSONB(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("definition_id", sa.String(), nullable=False),
        sa.Column("target", postgresql.JSONB(), nullable=False),
        sa.Column("input", postgresql.JSONB(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("told_revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_tasks_owner_id_created_at", "tasks", ["owner_id", "created_at", "id"])
    op.create_index(
        "ix_tasks_definition_id", "tasks", ["definition_id"], postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_table(
        "task_runs",
        _task(),
        sa.Column("planned_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("error", postgresql.JSONB()),
        _now("started_at"),
    )
    op.create_table(
        "task_pauses",
        _task(),
        _now("paused_at", primary_key=True),
        sa.Column("resumed_at", sa.DateTime(timezone=True)),
    )


def _task() -> sa.Column[object]:
    return sa.Column("task_id", sa.String(), sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)


def _now(name: str, *, primary_key: bool = False) -> sa.Column[object]:
    kind = sa.DateTime(timezone=True)
    return sa.Column(name, kind, server_default=sa.text("now()"), nullable=False, primary_key=primary_key)
