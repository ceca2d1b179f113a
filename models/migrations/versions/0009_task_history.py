"""Of tasks: the schedules they had, what has changed, what triggered them, and with which role they run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "task_schedules",
        sa.Column("task_id", sa.String(), sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), server_default=sa.text("now()"), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("schedule", postgresql.JSONB(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("policy", postgresql.JSONB(), nullable=False),
    )
    op.add_column("tasks", sa.Column("role", sa.String(), server_default="author", nullable=False))
    op.alter_column("tasks", "role", server_default=None)
    for name in ("schedule_revision", "paused_revision"):
        op.add_column("tasks", sa.Column(name, sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_table(
        "task_triggers",
        sa.Column("task_id", sa.String(), sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("planned_at", sa.DateTime(timezone=True), primary_key=True),
    )
    op.add_column("task_runs", sa.Column("on_schedule", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    busy_from = sa.Computed("CASE WHEN on_schedule THEN planned_at ELSE started_at END", persisted=True)
    op.add_column("task_runs", sa.Column("busy_from", sa.DateTime(timezone=True), busy_from))
    op.create_index("ix_task_runs_task_id_busy_from", "task_runs", ["task_id", "busy_from"])
    op.create_index("ix_task_runs_run_id", "task_runs", ["run_id"])
