"""All tables. Rows with personal data carry `owner_id`; every query on them names the owner."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("timezone", String),
    Column("locale", String),
    Column("listed", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True, server_default=func.uuidv7()),
    Column("owner_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("role", String, nullable=False),
    Column("name", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("hash", LargeBinary, nullable=False, unique=True),
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

secrets = Table(
    "secrets",
    metadata,
    Column("owner_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("host", String),
    Column("sealed", LargeBinary, nullable=False),
    _now("created_at"),
    _now("updated_at"),
)
"""What users keep for workers to use. Encrypted; only `services/identity/secrets.py` reads it."""

definitions = Table(
    "definitions",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    _now("created_at"),
    _now("updated_at"),
)

definition_versions = Table(
    "definition_versions",
    metadata,
    Column("definition_id", ForeignKey("definitions.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("hash", String, nullable=False),
    Column("source", JSONB, nullable=False),
    Column("calls", JSONB, nullable=False, server_default=text("'{}'")),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    _now("created_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("definition_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("role", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("status", String, nullable=False),
    Column("input", JSONB(none_as_null=False), nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("output", JSONB(none_as_null=True)),
    Column("error", JSONB(none_as_null=True)),
    _now("started_at"),
    Column("ended_at", DateTime(timezone=True)),
    Column("parent", String),
    Column("dry_run", Boolean, nullable=False, server_default=text("false")),
    Column("concurrency_key", String),
    Column("admitted_at", DateTime(timezone=True)),
    Index("ix_runs_definition_id_started_at", "definition_id", "started_at", "run_id"),
    Index("ix_runs_owner_id_started_at", "owner_id", "started_at", "run_id"),
    Index("ix_runs_open", "started_at", postgresql_where=text("ended_at IS NULL")),
    Index("ix_runs_parent", "parent", postgresql_where=text("parent IS NOT NULL")),
    Index(
        "ix_runs_concurrency",
        "definition_id",
        "concurrency_key",
        "started_at",
        postgresql_where=text("ended_at IS NULL AND concurrency_key IS NOT NULL"),
    ),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("owner_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("role", String, nullable=False),
    Column("name", String, nullable=False),
    Column("schedule", JSONB, nullable=False),
    Column("timezone", String, nullable=False),
    Column("definition_id", String, nullable=False),
    Column("target", JSONB, nullable=False),
    Column("input", JSONB(none_as_null=False), nullable=False),
    Column("policy", JSONB, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("told_revision", Integer, nullable=False, server_default=text("0")),
    Column("told_at", DateTime(timezone=True)),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("schedule_revision", Integer, nullable=False, server_default=text("1")),
    Column("paused_revision", Integer, nullable=False, server_default=text("1")),
    _now("created_at"),
    _now("updated_at"),
    Column("deleted_at", DateTime(timezone=True)),
    Index("ix_tasks_owner_id_created_at", "owner_id", "created_at", "id"),
    Index("ix_tasks_definition_id", "definition_id", postgresql_where=text("deleted_at IS NULL")),
)

task_runs = Table(
    "task_runs",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("planned_at", DateTime(timezone=True), primary_key=True),
    Column("run_id", String, nullable=False),
    Column("started_by", String, nullable=False),
    Column("on_schedule", Boolean, nullable=False, server_default=text("true")),
    Column("error", JSONB(none_as_null=True)),
    _now("started_at"),
    Column("busy_from", DateTime(timezone=True), Computed("CASE WHEN on_schedule THEN planned_at ELSE started_at END")),
    Index("ix_task_runs_task_id_busy_from", "task_id", "busy_from"),
    Index("ix_task_runs_run_id", "run_id"),
)

task_triggers = Table(
    "task_triggers",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("planned_at", DateTime(timezone=True), primary_key=True),
)

task_schedules = Table(
    "task_schedules",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("until", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("schedule", JSONB, nullable=False),
    Column("timezone", String, nullable=False),
    Column("policy", JSONB, nullable=False),
)

task_pauses = Table(
    "task_pauses",
    metadata,
    Column("task_id", ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    Column("paused_at", DateTime(timezone=True), primary_key=True, server_default=func.now()),
    Column("resumed_at", DateTime(timezone=True)),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("step_id", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("attempts", Integer, nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("error", JSONB(none_as_null=True)),
    Column("output", JSONB(none_as_null=True)),
    Column("output_ref", String),
    Column("output_bytes", Integer),
    Column("part", Boolean, nullable=False, server_default=text("false")),
    Column("detail", JSONB(none_as_null=True)),
)

approvals = Table(
    "approvals",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("step_id", String, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("definition_id", String, nullable=False),
    Column("summary", String, nullable=False),
    Column("roles", ARRAY(String), nullable=False),
    Column("allow_requester", Boolean, nullable=False),
    Column("schema", JSONB(none_as_null=True)),
    Column("shown", JSONB(none_as_null=True)),
    Column("status", String, nullable=False),
    _now("asked_at"),
    Column("until", DateTime(timezone=True)),
    Column("answered_by", String),
    Column("answered_at", DateTime(timezone=True)),
    Column("comment", String),
    Index("ix_approvals_open", "asked_at", postgresql_where=text("status = 'open'")),
)

step_cache = Table(
    "step_cache",
    metadata,
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("action", String, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("ix_step_cache_expires_at", "expires_at"),
)

services = Table(
    "services",
    metadata,
    Column("name", String, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("task_queue", String, nullable=False),
    Column("actions", JSONB, nullable=False),
    _now("created_at"),
    _now("updated_at"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    _now("created_at"),
)

outbox_subjects = Table(
    "outbox_subjects",
    metadata,
    Column("subject", String, primary_key=True),
    Column("last_sequence", BigInteger, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True, server_default=func.uuidv7()),
    Column("subject", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("type", String, nullable=False),
    Column("source", String, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
    UniqueConstraint("subject", "sequence"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", String, primary_key=True),
    Column("route", String, primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    _now("created_at"),
    Index("ix_idempotency_keys_created_at", "created_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _now("at"),
    Column("actor_id", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("detail", JSONB, nullable=False),
)

flow_counters = Table(
    "flow_counters",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

flow_counts = Table(
    "flow_counts",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("step_id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("value", BigInteger, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True, server_default=func.uuidv7()),
    Column("owner_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("run_id", String, nullable=False),
    Column("step_id", String, nullable=False),
    Column("title", String, nullable=False),
    Column("headline", String, nullable=False),
    Column("markdown", String, nullable=False),
    Column("html", String, nullable=False),
    Column("data", JSONB, nullable=False),
    _now("created_at"),
    UniqueConstraint("run_id", "step_id"),
)

activity_events = Table(
    "activity_events",
    metadata,
    Column("owner_id", String, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("source", String, nullable=False),
    Column("id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("utc_offset", Integer, nullable=False),
    Column("self_reported", Boolean, nullable=False),
    Column("data", JSONB, nullable=False),
    Index("ix_activity_events_owner_id_at", "owner_id", "at"),
    Index("ix_activity_events_at", "at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (at)",
)
"""One partition a month, made ahead and on demand (`services/analytics/partitions.py`)."""

activity_keys = Table(
    "activity_keys",
    metadata,
    Column("key", UUID(as_uuid=False), primary_key=True),
)
"""Hashes of what names each event that was ever taken. They outlive archived events and erased people."""

archives = Table(
    "archives",
    metadata,
    Column("table_name", String, primary_key=True),
    Column("month", String, primary_key=True),
    Column("file", String, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    _now("created_at"),
)
"""Months of a partitioned table that are files (`models/persistence/archive.py`). A file that no row names is no data.

Whoever reads files reads this table first: that holds its lock until the end of the transaction, and no file that was
named goes away before.
"""

archive_folder = Table(
    "archive_folder",
    metadata,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("name", String, nullable=False),
)
"""One row: the name of the folder that only this database writes to, and cleans, whoever else shares the place."""

archive_holds = Table(
    "archive_holds",
    metadata,
    Column("table_name", String, primary_key=True),
    Column("month", String, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False),
)
"""Months that were put back into their table, and until when they stay there."""

erasures = Table(
    "erasures",
    metadata,
    Column("pseudonym", String, primary_key=True),
    Column("owner_id", String, nullable=False),
    Column("run_ids", ARRAY(String), nullable=False),
    Column("in_archives", Boolean, nullable=False, server_default=text("true")),
    _now("created_at"),
)
"""People who are erased from all other tables and not yet from Temporal and the archives. The last row to go."""

learner_checkpoints = Table(
    "learner_checkpoints",
    metadata,
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("events", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("state", String, nullable=False),
)
"""What was known of learners after so many of their events (`services/analytics/checkpoints.py`)."""

learners = Table(
    "learners",
    metadata,
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("events", BigInteger, nullable=False, server_default=text("0")),
    Column("score", SmallInteger, nullable=False, server_default=text("0")),
    Column("score_day", Date),
    Column("completed", Integer, nullable=False, server_default=text("0")),
    Column("mastery", Double, nullable=False, server_default=text("0")),
    Column("first_day", Date),
    Column("last_day", Date),
    Column("last_at", DateTime(timezone=True)),
    Column("utc_offset", Integer, nullable=False, server_default=text("0")),
    Column("active", BigInteger, nullable=False, server_default=text("0")),
    Column("performance", Double, nullable=False, server_default=text("0")),
    Column("state", String, nullable=False, server_default=text("'{}'")),
    Index("ix_learners_score", text("score DESC"), "owner_id"),
    Index("ix_learners_completed", text("completed DESC"), "owner_id"),
    Index("ix_learners_mastery", text("mastery DESC"), "owner_id"),
)
"""What is known of each learner: `state` is the fold of `services/analytics/timeline.py`, the rest is for queries."""

learner_days = Table(
    "learner_days",
    metadata,
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("events", Integer, nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("microseconds", BigInteger, nullable=False),
    Column("challenges", Integer, nullable=False),
    Column("score", BigInteger, nullable=False),
    Column("activities", JSONB, nullable=False),
)

analytics_days = Table(
    "analytics_days",
    metadata,
    Column("day", Date, primary_key=True),
    Column("shard", SmallInteger, primary_key=True),
    Column("events", BigInteger, nullable=False),
    Column("active", BigInteger, nullable=False),
    Column("sessions", BigInteger, nullable=False),
    Column("microseconds", BigInteger, nullable=False),
    Column("challenges", BigInteger, nullable=False),
    Column("score", BigInteger, nullable=False),
)
"""Sums over all learners by day in UTC. In shards, so that writers of the same day seldom wait for each other."""

score_counts = Table(
    "score_counts",
    metadata,
    Column("shard", SmallInteger, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("learners", ARRAY(Integer), nullable=False),
)
"""How many learners have each engagement score, from 0 to 100; sums over the shards."""

score_refreshes = Table(
    "score_refreshes",
    metadata,
    Column("id", Boolean, primary_key=True, server_default=text("true")),
    Column("at", DateTime(timezone=True), nullable=False),
)
"""When learners whose day has ended got the score of their new day: one row."""

standings = Table(
    "standings",
    metadata,
    Column("period", String, primary_key=True),
    Column("start", Date, primary_key=True),
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("completed", Integer, nullable=False),
    Index("ix_standings_completed", "period", "start", text("completed DESC"), "owner_id"),
)
"""Challenges completed in the calendar day, week and month, in UTC, that were going on when they came in."""

badges = Table(
    "badges",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer, Identity(always=True), nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("rule", JSONB, nullable=False),
    Column("repeatable", Boolean, nullable=False),
    Column("created_by", String, nullable=False),
    _now("created_at"),
)
"""Custom badges. The platform's own are in `models/badges.py`."""

awards = Table(
    "awards",
    metadata,
    Column("id", UUID(as_uuid=False), primary_key=True, server_default=func.uuidv7()),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("badge_id", String, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("awarded_at", DateTime(timezone=True), nullable=False),
    Column("event_id", String),
    Column("awarded_by", String),
    Column("reason", String),
    Column("status_index", Integer, Identity(always=True), nullable=False, unique=True),
    _now("created_at"),
    UniqueConstraint("owner_id", "badge_id", "occurrence"),
)

award_changes = Table(
    "award_changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("award_id", ForeignKey("awards.id"), nullable=False, index=True),
    Column("change", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("reason", String),
    Column("awarded_at", DateTime(timezone=True)),
    Column("event_id", String),
    _now("at"),
)
"""What happened to an award, which itself never changes: it was revoked, or an earlier event had earned it already."""

achievements = Table(
    "achievements",
    metadata,
    Column("owner_id", ForeignKey("users.id"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

topics = Table(
    "topics",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("difficulty", String, nullable=False),
    Column("prerequisites", ARRAY(String), nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("source", String, nullable=False),
    Column("ref", String),
    Column("commit", String),
    Column("commits", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("status", String, nullable=False),
    Column("error", JSONB(none_as_null=True)),
    Column("run_id", String),
    Column("shared", Boolean, nullable=False, server_default=text("false")),
    _now("created_at"),
    Column("loaded_at", DateTime(timezone=True)),
    _now("used_at"),
)
"""Git repositories in the object store. `ref` and `commit`: what those see who have not loaded one of their own."""

repository_users = Table(
    "repository_users",
    metadata,
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("owner_id", ForeignKey("users.id"), primary_key=True, index=True),
    Column("ref", String),
    Column("credential", String),
    Column("run_id", String),
    Column("granted", Boolean, nullable=False, server_default=text("false")),
    Column("shares", Boolean, nullable=False, server_default=text("false")),
    _now("created_at"),
)
"""Who asked for a repository. `granted`: a load of theirs succeeded, so that they may read what is in it.

`shares`: and they were an admin, and sent no credential along, so that everybody may. `credential`: the name of the
secret that they ask with.
"""

repository_refs = Table(
    "repository_refs",
    metadata,
    Column("repository_id", ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    Column("ref", String, primary_key=True),
    Column("commit", String, nullable=False),
    Column("commits", BigInteger, nullable=False),
    _now("loaded_at"),
)
"""The commit a branch or tag named when it was last loaded; `HEAD` for a load that named none."""
