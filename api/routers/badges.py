"""Badges and awards."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import BackgroundTasks, Path
from starlette.responses import Response

from api import runs as views
from api.dependencies import AdminDep, CallerDep, DatabaseDep, LookupsDep, PartsDep
from api.idempotency import Answer
from api.repeatable import IdempotencyDep
from api.routers.analytics import AnyKeyDep, UserPath
from api.routing import resource
from models.analytics import BACK_FILL_BADGES
from models.badges import Award, AwardByHand, Badge, BadgeProgress, Eligibility, NewBadge, Revocation
from models.errors import InvalidInputError, Problem
from models.workflows import ExecuteRequest
from services.analytics import awards
from services.analytics.custom_badges import create_badge, load_rules
from services.analytics.learners import find_learner
from services.analytics.reading import EARLIEST, FUTURE
from services.orchestration.runs import open_run
from workflows.platform import action_definition_id

router = resource("badges")

BadgePath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["night-owl"])]
_JWT_TYPE = "application/vc+jwt"
_JWT: dict[str, Any] = {_JWT_TYPE: {"schema": {"type": "string"}}}
_NO_REASON = AwardByHand()


@router.get("/analytics/badges")
async def list_badges(_: AnyKeyDep, lookups: LookupsDep) -> dict[str, tuple[Badge, ...] | None]:
    """Every badge with its rule, the platform's own first."""
    async with lookups.connect() as connection:
        return {"items": awards.all_badges(await load_rules(connection)), "next_cursor": None}


@router.post("/analytics/badges", status_code=201, response_model=Badge)
async def create_custom_badge(
    new: NewBadge, caller: AdminDep, parts: PartsDep, idempotency: IdempotencyDep, background: BackgroundTasks
) -> Response:
    """Make a badge. A run of `analytics.back-fill-badges` gives it to those who have earned it, and tells nobody."""
    compiled = await views.find_runnable(parts, caller, action_definition_id(BACK_FILL_BADGES))
    run = views.new_run(compiled, caller, ExecuteRequest())

    async def create() -> Answer:
        badge = await create_badge(connection, new, caller.user_id)
        await open_run(connection, run)
        return Answer.of(201, badge)

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, create)
    if not answer.repeated:
        background.add_task(views.start_later, parts, compiled, run)
    response = answer.response()
    response.background = background
    return response


@router.get("/analytics/badges-keys")
async def get_badge_keys(parts: PartsDep) -> dict[str, Any]:
    """Public keys (JWK set) that verify credentials and the status list."""
    return parts.issuer.jwks()


@router.get("/analytics/badges-status", response_class=Response, responses={200: {"content": _JWT}})
async def get_badge_status(parts: PartsDep) -> Response:
    """The signed BitstringStatusListCredential: which credentials are revoked. Valid for a day."""
    async with parts.autocommit.connect() as connection:
        revoked = await awards.revoked_places(connection)
    kept = parts.answers.find("badges-status", len(revoked))
    if kept is None:
        signed = await asyncio.to_thread(parts.issuer.status_list, revoked, datetime.now(UTC))
        kept = parts.answers.keep("badges-status", len(revoked), signed.encode())
    return Response(kept.body, media_type=_JWT_TYPE)


@router.get("/analytics/awards/{award_id}/credential", response_class=Response, responses={200: {"content": _JWT}})
async def get_credential(award_id: Annotated[UUID, Path()], caller: CallerDep, parts: PartsDep) -> Response:
    """An award as a signed Open Badges 3.0 credential. Whether it was revoked since, the status list tells."""
    async with parts.autocommit.connect() as connection:
        owner_id, place, award = await awards.find_award(connection, caller, str(award_id))
        badge = awards.rule_of(await load_rules(connection), award.badge).badge
    return Response(parts.issuer.credential(award, badge, owner_id, place), media_type=_JWT_TYPE)


@router.get("/analytics/user/{user_id}/badges/progress")
async def get_badge_progress(
    user_id: UserPath, caller: CallerDep, lookups: LookupsDep
) -> dict[str, tuple[BadgeProgress, ...] | None]:
    """How far a learner is toward each badge."""
    awards.may_see(caller, user_id)
    async with lookups.connect() as connection:
        learner = await find_learner(connection, user_id)
        held = await awards.list_awards(connection, user_id)
        rules = await load_rules(connection)
        return {"items": awards.badge_progress(learner, rules, held), "next_cursor": None}


@router.get("/analytics/user/{user_id}/badges")
async def list_user_badges(
    user_id: UserPath, caller: CallerDep, lookups: LookupsDep
) -> dict[str, tuple[Award, ...] | None]:
    """Badges that a learner holds or has held, in the order they were earned."""
    awards.may_see(caller, user_id)
    async with lookups.connect() as connection:
        await find_learner(connection, user_id)
        return {"items": await awards.list_awards(connection, user_id), "next_cursor": None}


@router.get("/analytics/user/{user_id}/badges/{badge}/eligibility")
async def check_badge_eligibility(
    user_id: UserPath, badge: BadgePath, caller: CallerDep, lookups: LookupsDep
) -> Eligibility:
    """Whether what a learner has done qualifies for a badge."""
    awards.may_see(caller, user_id)
    async with lookups.connect() as connection:
        learner = await find_learner(connection, user_id)
        rule = awards.rule_of(await load_rules(connection), badge)
        return awards.eligibility(learner, rule, await awards.list_awards(connection, user_id))


@router.post("/analytics/user/{user_id}/badges/{badge}", status_code=201, response_model=Award)
async def award_badge(
    user_id: UserPath,
    badge: BadgePath,
    caller: AdminDep,
    database: DatabaseDep,
    idempotency: IdempotencyDep,
    given: AwardByHand = _NO_REASON,
) -> Response:
    """Award a badge by hand, also again after a revocation. 409 to a learner who holds it."""
    now = datetime.now(UTC)
    at = now if given.at is None else _moment(given.at, now)
    async with database.begin() as connection:

        async def give() -> Answer:
            rules = await load_rules(connection)
            award = await awards.award_by_hand(connection, rules, user_id, badge, caller.user_id, at, given.reason)
            return Answer.of(201, award)

        answer = await idempotency.answer_once(connection, give)
    return answer.response()


@router.delete("/analytics/awards/{award_id}", status_code=204)
async def revoke_award(
    award_id: Annotated[UUID, Path()], revocation: Revocation, caller: AdminDep, database: DatabaseDep
) -> None:
    """Revoke an award. It stays in the learner's list as revoked, and is never given again by itself."""
    async with database.begin() as connection:
        await awards.revoke_award(connection, str(award_id), caller.user_id, revocation.reason)


def _moment(at: datetime, now: datetime) -> datetime:
    """When a badge was earned, in UTC. Raises InvalidInputError for what has not been."""
    if not EARLIEST <= at <= now + FUTURE:
        message = "at lies in the future, or before the year 1"
        raise InvalidInputError(message, problems=[Problem(pointer="/at", code="bad-time", message=message)])
    return at.astimezone(UTC)
