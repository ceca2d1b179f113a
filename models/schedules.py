"""When a task runs: the forms of a schedule, and what happens when runs meet (CONTRACT 9)."""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, LiteralString, NoReturn

from cronsim import CronSim, CronSimError
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from models.contract import Contract

YEARS = range(2000, 2101)
"""In which a schedule can fire: those that Temporal's calendars know."""
LONGEST_INTERVAL = 315_360_000
"""Seconds: ten years."""
CRON_FIELDS = 5
_BEFORE_ALL = datetime(YEARS.start, 1, 1)  # noqa: DTZ001 - what a cron expression means does not depend on a zone


def refuse(code: LiteralString, message: str, suggestion: str) -> NoReturn:
    """Raise what pydantic tells of a value; `suggestion` is found in the error's context."""
    raise PydanticCustomError(code, "{message}", {"message": message, "suggestion": suggestion})


@cache
def zone_names() -> frozenset[str]:
    """The names of the IANA database, the older ones that it still knows included."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split()) - {"Factory"}


def _known_zone(name: str) -> str:
    if name in zone_names():
        return name
    by_folded = {known.casefold(): known for known in zone_names()}
    near = get_close_matches(name[:100].casefold(), by_folded, n=1)
    meant = f"Did you mean {by_folded[near[0]]}?" if near else "Give a name such as Europe/Berlin, or UTC."
    refuse("unknown-timezone", "the IANA time zone database has no such name, or has retired it", meant)


def _text_only(value: object) -> object:
    if not isinstance(value, str | datetime) or (isinstance(value, str) and value[:5].isdecimal()):
        refuse("bad-time", "not a time", 'Write it as "2027-03-14T02:30:00-04:00", or without the offset.')
    return value


def _in_range(at: datetime) -> datetime:
    if at.year not in YEARS:
        years = f"{YEARS.start} to {YEARS.stop - 1}"
        refuse("bad-time", f"outside of the years {years}", f"Give a time in the years {years}.")
    return at.replace(microsecond=0)


def _possible_cron(expression: str) -> str:
    fields = len(expression.split())
    if fields != CRON_FIELDS:
        refuse(
            "bad-cron",
            f"a cron expression of {fields} fields",
            "Give five: minute, hour, day of month, month, day of week, as in 30 2 * * MON-FRI.",
        )
    try:
        times = CronSim(expression, _BEFORE_ALL)
    except CronSimError as error:
        field = str(error).removeprefix("Bad ")
        refuse(
            "bad-cron",
            f"the {field} of the cron expression cannot be read, or never comes",
            f"Check the {field}: numbers, names, ranges, steps and lists; L and LW as the day of the month, "
            "MON#1 and 5L as the day of the week.",
        )
    if next(times, None) is None:
        refuse("bad-cron", "the cron expression never fires", "Check the day of the month, the month and the weekday.")
    return " ".join(times.parts[1:])


Timezone = Annotated[str, StringConstraints(max_length=100), AfterValidator(_known_zone)]
"""An IANA name."""
Moment = Annotated[datetime, BeforeValidator(_text_only), AfterValidator(_in_range)]
"""An instant with its offset, or without one a local time in the schedule's zone; fractions of a second are cut off."""
TimeOfDay = Annotated[
    str,
    StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Field(description='Time of day in the zone, from "00:00" to "23:59".', examples=["02:30"]),
]
Weekday = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
CronExpression = Annotated[str, StringConstraints(max_length=200), AfterValidator(_possible_cron)]
"""Five fields in capitals with single spaces between them."""


class _Bounded(Contract):
    """Between which times, and how often at most."""

    start: Moment | None = Field(
        default=None, description="First time at which it may fire: with an offset, or local to the zone."
    )
    end: Moment | None = Field(
        default=None, description="Last time at which it may fire, not before the start; written as the start."
    )
    max_runs: int | None = Field(
        default=None, ge=1, le=1_000_000_000, strict=True, description="After how many runs it ends, at least 1."
    )

    @field_validator("end")
    @classmethod
    def _not_before_start(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start: datetime | None = info.data.get("start")
        if start and end and (start.tzinfo is None) == (end.tzinfo is None) and end < start:
            refuse("end-before-start", "the end is before the start", "Give an end that is not before the start.")
        return end


class Daily(_Bounded):
    """Every day."""

    type: Literal["daily"] = "daily"
    at: TimeOfDay


class Weekly(_Bounded):
    """On some days of every week."""

    type: Literal["weekly"] = "weekly"
    on: list[Weekday] = Field(  # a tuple without a valid day would be too short, too: a second error
        min_length=1, max_length=7, description="Days of the week: MON, TUE, WED, THU, FRI, SAT, SUN."
    )
    at: TimeOfDay


class Monthly(_Bounded):
    """On one day of every month."""

    type: Literal["monthly"] = "monthly"
    day: int = Field(ge=1, le=31, strict=True, description="Day of the month, from 1 to 31.")
    at: TimeOfDay
    short_month: Literal["last-day", "skip"] = Field(
        default="last-day", description='In a month without that day: its "last-day", or "skip" the month.'
    )


class Interval(_Bounded):
    """Each time that many seconds have passed since 1970-01-01T00:00Z plus the offset."""

    type: Literal["interval"] = "interval"
    every_seconds: int = Field(
        ge=1, le=LONGEST_INTERVAL, strict=True, description="Whole seconds between two runs, from 1 to ten years."
    )
    offset_seconds: int = Field(
        default=0, ge=0, strict=True, description="Whole seconds from 0 up to, and without, every_seconds."
    )

    @field_validator("offset_seconds")
    @classmethod
    def _within_interval(cls, offset: int, info: ValidationInfo) -> int:
        every: int | None = info.data.get("every_seconds")
        if every is not None and offset >= every:
            refuse("bad-offset", "the offset is not less than the interval", f"Give 0 to {every - 1} seconds.")
        return offset


class Cron(_Bounded):
    """When a cron expression says so; a day of the month and a day of the week are alternatives, as cron has them."""

    type: Annotated[Literal["cron", "custom"], AfterValidator(lambda _: "cron")] = "cron"
    cron: CronExpression = Field(
        description="Minute, hour, day of month, month, day of week; with names, L, LW, MON#1, 5L.",
        examples=["0 9 * * MON#1"],
    )


class Once(_Bounded):
    """A single time."""

    type: Literal["once"] = "once"
    at: Moment = Field(
        description="When: with an offset, or local to the zone.", examples=["2027-03-14T09:00:00-04:00"]
    )


CalendarForm = Daily | Weekly | Monthly | Cron
Form = CalendarForm | Interval | Once
FORMS: Mapping[str, type[Form]] = {
    "daily": Daily,
    "weekly": Weekly,
    "monthly": Monthly,
    "interval": Interval,
    "cron": Cron,
    "custom": Cron,
    "once": Once,
}
"""By their `type`."""
_TYPES = ", ".join(kind for kind in FORMS if kind != "custom")


def _by_type(posted: Any, read: ValidatorFunctionWrapHandler) -> Form:
    """Read the form that `type` names: every problem at its place in what was posted, and with its remedy."""
    if not isinstance(posted, dict):
        return read(posted)
    kind = posted.get("type")
    if not isinstance(kind, str) or kind not in FORMS:
        message = "no type of schedule" if "type" in posted else "a schedule needs a type"
        told = PydanticCustomError("bad-type", "{message}", {"message": message, "suggestion": f"One of {_TYPES}."})
        raise ValidationError.from_exception_data("schedule", [InitErrorDetails(type=told, loc=("type",), input=kind)])
    try:
        return FORMS[kind].model_validate(posted)
    except ValidationError as error:
        problems = [_with_remedy(FORMS[kind], problem) for problem in error.errors()]
        raise ValidationError.from_exception_data(kind, problems) from None


def _with_remedy(form: type[Form], problem: ErrorDetails) -> InitErrorDetails:
    """Unless the problem brings its own remedy, what the field is for."""
    suggestion = problem.get("ctx", {}).get("suggestion")
    if suggestion is None:
        field = form.model_fields.get(str(problem["loc"][0]))
        suggestion = field.description if field else f"Leave it out: {form.__name__.lower()} has no such field."
    told = PydanticCustomError(problem["type"], "{message}", {"message": problem["msg"], "suggestion": suggestion})  # pyright: ignore[reportArgumentType] - the type wants literals
    return InitErrorDetails(type=told, loc=problem["loc"], input=problem["input"])


Schedule = Annotated[Annotated[Form, Field(discriminator="type")], WrapValidator(_by_type)]

Overlap = Literal["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"]
Dst = Literal["exact", "as-is"]
"""When clocks change. `exact`: a time that is skipped fires at the next valid instant, one that is repeated fires the
first time. `as-is`: it fires whenever the clock shows it, so not at all, or twice. An expression whose minute or hour
begins with `*` fires as the clock shows either way, as Debian's cron has it."""


class Policy(Contract):
    """What happens when runs meet, were missed, or fail."""

    overlap: Overlap = Field(default="skip", description="What is done when the run before still runs.")
    catchup_window_seconds: int = Field(
        default=3_600,
        ge=10,
        le=2_592_000,
        strict=True,
        description="How late a run that was missed may still start: from 10 seconds to 30 days.",
    )
    pause_on_failure: bool = Field(default=False, description="Whether a run that fails pauses the schedule.")
    dst: Dst = Field(
        default="exact",
        description='When clocks change: "exact" runs once also for a time that is skipped or repeated, "as-is" '
        "whenever the clock shows it.",
    )
    jitter_seconds: int = Field(
        default=0, ge=0, le=86_400, strict=True, description="By how much a start may be late at random: up to a day."
    )
