"""What the whole language needs: parts of steps, approvals, cached results, places among runs, foreign services."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "definition_versions",
        sa.Column("calls", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("run_steps", sa.Column("part", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("run_steps", sa.Column("detail", postgresql.JSONB(), nullable=True))
    op.add_column("runs", sa.Column("parent", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("dry_run", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("runs", sa.Column("concurrency_key", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("admitted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_runs_parent", "runs", ["parent"], unique=False, postgresql_where=sa.text("parent IS NOT NULL"))
    op.create_index(
        "ix_runs_concurrency",
        "runs",
        ["definition_id", "concurrency_key", "started_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL AND concurrency_key IS NOT NULL"),
    )
    op.create_table(
        "approvals",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("definition_id", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("allow_requester", sa.Boolean(), nullable=False),
        sa.Column("schema", postgresql.JSONB(), nullable=True),
        sa.Column("shown", postgresql.JSONB(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_approvals_owner_id_users")),
        sa.PrimaryKeyConstraint("run_id", "step_id", name=op.f("pk_approvals")),
    )
    op.create_index(
        "ix_approvals_open", "approvals", ["asked_at"], unique=False, postgresql_where=sa.text("status = 'open'")
    )
    op.create_table(
        "step_cache",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_step_cache_owner_id_users")),
        sa.PrimaryKeyConstraint("owner_id", "action", "key_hash", name=op.f("pk_step_cache")),
    )
    op.create_index("ix_step_cache_expires_at", "step_cache", ["expires_at"], unique=False)
    op.create_table(
        "services",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("task_queue", sa.String(), nullable=False),
        sa.Column("actions", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_services_owner_id_users")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_services")),
    )
