"""Analytics: activity events, what is known of learners, badges and awards."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_ZERO = sa.text("0")


def upgrade() -> None:
    _create_activity()
    _create_learners()
    _create_sums()
    _create_badges()
    _create_topics()
    _let_people_be_erased()
    for table in ("awards", "award_changes"):
        op.execute(f"""
            CREATE TRIGGER {table}_are_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)


def _let_people_be_erased() -> None:
    """Rows that are written once may change only when a person is erased (`services/analytics/erasure.py`)."""
    op.execute("""
        CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'UPDATE' AND current_setting('tooloo.erasing', true) = 'on' THEN
                RETURN NULL;
            END IF;
            RAISE EXCEPTION '% on % is refused: its rows are written once', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """)


def _create_activity() -> None:
    op.create_table(
        "activity_events",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("utc_offset", sa.Integer(), nullable=False),
        sa.Column("self_reported", sa.Boolean(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_activity_events_owner_id_at", "activity_events", ["owner_id", "at"])
    op.create_index("ix_activity_events_at", "activity_events", ["at"], postgresql_using="brin")
    op.create_table("activity_keys", sa.Column("key", sa.UUID(), primary_key=True))


def _create_learners() -> None:
    op.create_table(
        "learners",
        _owner(primary_key=True),
        sa.Column("version", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("events", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("score", sa.SmallInteger(), server_default=_ZERO, nullable=False),
        sa.Column("score_day", sa.Date()),
        sa.Column("completed", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("mastery", sa.Double(), server_default=_ZERO, nullable=False),
        sa.Column("first_day", sa.Date()),
        sa.Column("last_day", sa.Date()),
        sa.Column("last_at", sa.DateTime(timezone=True)),
        sa.Column("utc_offset", sa.Integer(), server_default=_ZERO, nullable=False),
        sa.Column("active", sa.BigInteger(), server_default=_ZERO, nullable=False),
        sa.Column("performance", sa.Double(), server_default=_ZERO, nullable=False),
        sa.Column("state", sa.String(), server_default=sa.text("'{}'"), nullable=False),
    )
    for column in ("score", "completed", "mastery"):
        op.create_index(f"ix_learners_{column}", "learners", [sa.text(f"{column} DESC"), "owner_id"])
    op.create_table(
        "learner_days",
        _owner(primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("microseconds", sa.BigInteger(), nullable=False),
        sa.Column("challenges", sa.Integer(), nullable=False),
        sa.Column("score", sa.BigInteger(), nullable=False),
        sa.Column("activities", postgresql.JSONB(), nullable=False),
    )


def _create_sums() -> None:
    figures = ("events", "active", "sessions", "microseconds", "challenges", "score")
    op.create_table(
        "analytics_days",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("shard", sa.SmallInteger(), primary_key=True),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in figures),
    )
    op.create_table(
        "score_counts",
        sa.Column("shard", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("learners", postgresql.ARRAY(sa.Integer()), nullable=False),
    )
    op.create_table(
        "score_refreshes",
        sa.Column("id", sa.Boolean(), server_default=sa.text("true"), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "standings",
        sa.Column("period", sa.String(), primary_key=True),
        sa.Column("start", sa.Date(), primary_key=True),
        _owner(primary_key=True),
        sa.Column("completed", sa.Integer(), nullable=False),
    )
    op.create_index("ix_standings_completed", "standings", ["period", "start", sa.text("completed DESC"), "owner_id"])


def _create_badges() -> None:
    op.create_table(
        "badges",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("rule", postgresql.JSONB(), nullable=False),
        sa.Column("repeatable", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        _now("created_at"),
        sa.UniqueConstraint("version", name=op.f("uq_badges_version")),
    )
    op.create_table(
        "awards",
        sa.Column("id", sa.UUID(), server_default=sa.text("uuidv7()"), primary_key=True),
        _owner(),
        sa.Column("badge_id", sa.String(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("awarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.String()),
        sa.Column("awarded_by", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("status_index", sa.Integer(), sa.Identity(always=True), nullable=False),
        _now("created_at"),
        sa.UniqueConstraint("status_index", name=op.f("uq_awards_status_index")),
        sa.UniqueConstraint("owner_id", "badge_id", "occurrence", name=op.f("uq_awards_owner_id_badge_id_occurrence")),
    )
    op.create_table(
        "award_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("award_id", sa.UUID(), sa.ForeignKey("awards.id"), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("awarded_at", sa.DateTime(timezone=True)),
        sa.Column("event_id", sa.String()),
        _now("at"),
    )
    op.create_index("ix_award_changes_award_id", "award_changes", ["award_id"])
    op.create_table(
        "achievements",
        _owner(primary_key=True),
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def _create_topics() -> None:
    op.create_table(
        "topics",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("difficulty", sa.String(), nullable=False),
        sa.Column("prerequisites", postgresql.ARRAY(sa.String()), nullable=False),
    )


def _owner(*, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column("owner_id", sa.String(), sa.ForeignKey("users.id"), primary_key=primary_key, nullable=False)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
