"""Calendar forms as cron expressions, and what cron expressions mean. Pure."""

from datetime import datetime

from cronsim import CronSim

from models.schedules import CalendarForm, Cron, Daily, Dst, Monthly, Weekly

LONGEST_FEBRUARY = 29
SHORTEST_MONTH = 28
_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - an expression is read without a zone


def cron_expressions(form: CalendarForm) -> tuple[str, ...]:
    """The expressions that together mean the form."""
    match form:
        case Daily():
            return (f"{_clock(form.at)} * * *",)
        case Weekly():
            return (f"{_clock(form.at)} * * {','.join(form.on)}",)
        case Monthly():
            return tuple(f"{_clock(form.at)} {days}" for days in _monthly(form))
        case Cron():
            return (form.cron,)


def parsed(expression: str) -> CronSim:
    """The parts of a valid expression."""
    return CronSim(expression, _ANY_TIME)


def follows_the_clock(expression: str, dst: Dst) -> bool:
    """Whether the expression fires whenever the clock shows its times, even when that is never or twice."""
    minute, hour = expression.split()[:2]
    return dst == "as-is" or minute.startswith("*") or hour.startswith("*")


def _clock(at: str) -> str:
    hour, minute = at.split(":")
    return f"{int(minute)} {int(hour)}"


def _monthly(form: Monthly) -> tuple[str, ...]:
    if form.day <= SHORTEST_MONTH or form.short_month == "skip":
        return (f"{form.day} * *",)
    if form.day <= LONGEST_FEBRUARY + 1:
        return (f"{form.day} 1,3-12 *", "L 2 *")
    return ("L * *",)
