"""What answers look like, by operation, in the OpenAPI document. A test holds each against its schema."""

from typing import Any

_WHEN = "2026-03-09T10:00:00Z"
_AWARD: dict[str, Any] = {
    "award_id": "01998a52-0c1e-7d7a-8f0a-3a3f1f6f2b11",
    "badge": "quality-focus",
    "awarded_at": _WHEN,
    "event_id": "attempt-17",
    "revoked": False,
    "revoked_at": None,
    "reason": None,
}
_SKILL: dict[str, Any] = {"name": "loops", "mastery": 0.6431, "level": "intermediate", "attempts": 6, "last_at": _WHEN}
_PROGRESS: dict[str, Any] = {
    "challenges_completed": 6,
    "by_difficulty": {"medium": 6},
    "mastery": 0.6431,
    "level": "intermediate",
    "topics": [_SKILL],
    "languages": [{**_SKILL, "name": "python"}],
}
_ENGAGEMENT: dict[str, Any] = {
    "score": 59,
    "parts": {"recency": 0.8203, "frequency": 0.3, "consistency": 0.5, "performance": 0.85},
    "formula_version": 1,
}
_ACHIEVEMENT: dict[str, Any] = {"key": "level:intermediate", "name": "Level intermediate", "kind": "level", "at": _WHEN}
_PROFILE: dict[str, Any] = {"user_id": "ada", "timezone": "Europe/Berlin", "locale": "de", "listed": True}
_TOPICS: dict[str, Any] = {
    "items": [
        {"id": "functions", "name": "Functions", "difficulty": "easy", "prerequisites": []},
        {"id": "recursion", "name": "Recursion", "difficulty": "hard", "prerequisites": ["functions"]},
    ],
    "next_cursor": None,
}
_TREND: dict[str, Any] = {
    "metric": "sessions",
    "days": [
        {"date": "2026-03-08", "value": 2.0, "partial": False},
        {"date": "2026-03-09", "value": 1.0, "partial": True},
    ],
    "slope": None,
}
_BADGE: dict[str, Any] = {
    "id": "bug-hunter",
    "name": "Bug hunter",
    "description": "Complete ten challenges with 90 or more.",
    "rule": {
        "kinds": ["challenge.completed"],
        "where": [{"field": "data.score", "op": "ge", "value": 90}],
        "aggregate": "count",
        "threshold": 10,
        "field": None,
        "window_seconds": None,
    },
    "repeatable": False,
    "custom": True,
    "version": 1,
}
_DEFINITION: dict[str, Any] = {
    "path": "src/client.py",
    "name": "retry",
    "kind": "method",
    "line": 2,
    "column": 9,
    "end_line": 3,
    "container": "Client",
}
_AT_COMMIT: dict[str, Any] = {
    "next_cursor": None,
    "commit": "0e322af87745eff34caffe4df68456ebc20d9068",
    "complete": True,
}
_NAMED: dict[str, Any] = {**_AT_COMMIT, "name": "retry", "approximate": True}
_TASK_ID = "6f1d2f4e-2a53-4c0b-8a4e-6a8f5f9a3c10"
_FIRES: dict[str, Any] = {
    "next": ["2027-03-13T02:30:00-05:00", "2027-03-14T03:00:00-04:00", "2027-03-15T02:30:00-04:00"],
    "text": "every day at 02:30, America/New_York",
}
_TASK: dict[str, Any] = {
    "id": _TASK_ID,
    "name": "nightly review",
    "owner_id": "ada",
    "schedule": {"type": "daily", "at": "02:30", "start": None, "end": None, "max_runs": None},
    "timezone": "America/New_York",
    "target": {"workflow": "code-review", "action": None, "intent": None},
    "input": {"path": "."},
    "policy": {
        "overlap": "skip",
        "catchup_window_seconds": 3600,
        "pause_on_failure": False,
        "dst": "exact",
        "jitter_seconds": 0,
    },
    **_FIRES,
    "paused": False,
    "skipped": 0,
    "missed": 1,
    "created_at": _WHEN,
    "updated_at": _WHEN,
    "links": {"self": f"/api/v1/task/{_TASK_ID}", "history": f"/api/v1/task/{_TASK_ID}/history"},
}
_RUN_ID = "0b1f5b0e-6a3e-4f0c-9a52-0d7c6f4f2a11"

ANSWERS: dict[str, Any] = {
    "get_user_metrics": {
        "timeframe": "week",
        "from": "2026-03-09",
        "to": "2026-03-15",
        "sessions": 2,
        "session_seconds": 6000.0,
        "average_session_seconds": 3000.0,
        "active_days": 1,
        "activities": {"challenge.completed": 3},
        "challenges_completed": 3,
        "consistency": 1.0,
        "streak": {"current": 3, "longest": 8, "frozen_days": 0, "freezes_held": 1},
        "percentile": 0.75,
        "by_day": [{"date": "2026-03-09", "sessions": 2, "seconds": 6000.0, "challenges": 3}],
    },
    "get_user_progress": _PROGRESS,
    "get_engagement_score": _ENGAGEMENT,
    "get_learning_path": {
        "topics": [
            {
                "topic": "functions",
                "name": "Functions",
                "state": "done",
                "difficulty": "easy",
                "mastery": 0.88,
                "level": "advanced",
                "attempts": 9,
                "prerequisites": [],
                "predicted_success": 0.95,
                "review_due_at": _WHEN,
            },
            {
                "topic": "recursion",
                "name": "Recursion",
                "state": "ready",
                "difficulty": "hard",
                "mastery": 0.5,
                "level": None,
                "attempts": 0,
                "prerequisites": ["functions"],
                "predicted_success": 0.66,
                "review_due_at": None,
            },
        ],
        "next": "recursion",
        "reviews_due": ["functions"],
    },
    "list_topics": _TOPICS,
    "replace_topics": _TOPICS,
    "get_user_trend": _TREND,
    "list_user_achievements": {"items": [_ACHIEVEMENT], "next_cursor": None},
    "set_profile": _PROFILE,
    "erase_user": {"left": ["archive"]},
    "export_user": {
        "profile": _PROFILE,
        "engagement": _ENGAGEMENT,
        "progress": _PROGRESS,
        "awards": [_AWARD],
        "achievements": [_ACHIEVEMENT],
        "events": [
            {
                "id": "beat-1",
                "source": "editor",
                "kind": "session.heartbeat",
                "at": _WHEN,
                "utc_offset": 3600,
                "self_reported": True,
                "data": {"activity": "coding", "duration_seconds": 600},
            }
        ],
    },
    "get_global_metrics": {
        "timeframe": "day",
        "from": "2026-03-09",
        "to": "2026-03-09",
        "learners": 40,
        "active_users": 12,
        "sessions": 15,
        "session_seconds": 27000.0,
        "average_session_seconds": 1800.0,
        "challenges_completed": 31,
        "events": 120,
        "average_score": 81.5,
        "stickiness": {"daily": 12, "weekly": 25, "monthly": 36, "ratio": 0.3333},
        "by_day": [
            {"date": "2026-03-09", "active_users": 12, "sessions": 15, "seconds": 27000.0, "challenges": 31},
        ],
    },
    "get_top_performers": {
        "items": [
            {"rank": 1, "user_id": "ada", "value": 91.0},
            {"rank": 1, "user_id": "ben", "value": 91.0},
            {"rank": 3, "user_id": "cem", "value": 74.0},
        ],
        "next_cursor": None,
    },
    "get_global_trend": _TREND,
    "get_cohorts": {
        "by": "week",
        "items": [
            {"period": "2026-03-02", "learners": 2, "retention": [1.0, 0.5]},
            {"period": "2026-03-09", "learners": 1, "retention": [1.0, None]},
        ],
        "next_cursor": None,
    },
    "list_archived_months": {
        "items": [
            {
                "month": "2024-01",
                "file": "2024-01-6f1d2c3b.parquet",
                "rows": 400_000,
                "bytes": 4_400_000,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "created_at": "2026-02-01T02:20:05Z",
            }
        ],
        "next_cursor": None,
    },
    "report_activity": {
        "accepted": 2,
        "duplicate": 1,
        "refused": [{"index": 3, "code": "future", "message": "at: 900 s ahead of our clock; at most 300 are taken"}],
    },
    "report_statements": ["fd41c918-b88b-4b20-a0a5-a4c32391aaa0"],
    "list_badges": {"items": [_BADGE], "next_cursor": None},
    "create_custom_badge": _BADGE,
    "get_badge_keys": {
        "keys": [
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "kid": "badges",
                "alg": "ES256",
                "use": "sig",
            }
        ]
    },
    "get_badge_status": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwOi8v….c2ln",
    "get_credential": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwOi8v….c2ln",
    "get_badge_progress": {
        "items": [
            {
                "badge": "code-master",
                "current": 42.0,
                "target": 100.0,
                "ratio": 0.42,
                "earned": False,
                "missing": "58 more",
            }
        ],
        "next_cursor": None,
    },
    "list_user_badges": {"items": [_AWARD], "next_cursor": None},
    "check_badge_eligibility": {
        "badge": "code-master",
        "eligible": False,
        "awarded": False,
        "current": 42.0,
        "target": 100.0,
        "ratio": 0.42,
        "missing": "58 more",
    },
    "list_symbols": {"items": [_DEFINITION], **_AT_COMMIT},
    "find_definitions": {"items": [{**_DEFINITION, "text": "    def retry(self, times):"}], **_NAMED},
    "find_references": {
        "items": [
            {
                "path": "src/client.py",
                "line": 2,
                "column": 9,
                "text": "    def retry(self, times):",
                "definition": "method",
            },
            {"path": "src/use.py", "line": 4, "column": 10, "text": "Client().retry(3)", "definition": None},
        ],
        **_NAMED,
        "unparsed": 0,
    },
    "schedule_task": {"id": _TASK_ID, **_FIRES},
    "preview_schedule": _FIRES,
    "execute_pending": {"started": 2, "tasks": [_TASK_ID]},
    "list_tasks": {"items": [{**_TASK, "skipped": None, "missed": None}], "next_cursor": None},
    "get_task": _TASK,
    "change_task": {"id": _TASK_ID, **_FIRES},
    "pause_task": {**_TASK, "next": [], "paused": True},
    "resume_task": _TASK,
    "trigger_task": {"id": _TASK_ID, "planned_at": "2027-03-14T09:12:31Z"},
    "backfill_task": {"next": ["2027-03-13T02:30:00-05:00", "2027-03-14T03:00:00-04:00"], "text": "2 runs"},
    "list_task_history": {
        "items": [
            {
                "planned_at": "2027-03-14T07:00:00Z",
                "started_at": "2027-03-14T07:00:00.081Z",
                "outcome": "completed",
                "run_id": _RUN_ID,
                "error": None,
                "links": {"self": f"/api/v1/workflow/code-review/executions/{_RUN_ID}"},
            },
            {
                "planned_at": "2027-03-13T07:30:00Z",
                "started_at": None,
                "outcome": "missed",
                "run_id": None,
                "error": None,
                "links": {},
            },
        ],
        "next_cursor": None,
    },
    "award_badge": {**_AWARD, "event_id": None, "reason": "Helped three others."},
}
