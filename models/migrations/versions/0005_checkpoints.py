"""What was known of learners after some of their events: late events are folded from there."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "learner_checkpoints",
        sa.Column("owner_id", sa.String(), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("events", sa.BigInteger(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
    )
