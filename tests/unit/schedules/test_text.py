from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from models.schedules import Cron, Daily, Form, Interval, Monthly, Once, Weekly
from services.schedules.text import describe

MARCH = datetime.fromisoformat("2027-03-01")
SKIPPED = datetime.fromisoformat("2027-03-14T02:30")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Daily(at="02:30"), "every day at 02:30, America/New_York"),
        (Weekly(on=["SUN"], at="09:00"), "every Sunday at 09:00, America/New_York"),
        (Weekly(on=["FRI", "MON", "WED"], at="09:00"), "every Monday, Wednesday and Friday at 09:00, America/New_York"),
        (Monthly(day=31, at="09:00"), "on day 31 of every month, or its last day, at 09:00, America/New_York"),
        (Monthly(day=31, at="09:00", short_month="skip"),
         "on day 31 of every month that has one at 09:00, America/New_York"),
        (Monthly(day=1, at="09:00"), "on day 1 of every month at 09:00, America/New_York"),
        (Interval(every_seconds=10), "every 10 seconds"),
        (Interval(every_seconds=1), "every second"),
        (Interval(every_seconds=3_600, offset_seconds=60), "every hour, offset by 1 minute"),
        (Interval(every_seconds=5_400), "every 1 hour 30 minutes"),
        (Cron(cron="0 9 * * MON#1"), "at 09:00 on the first Monday of the month, America/New_York"),
        (Cron(cron="0 0 L * *"), "at 00:00 on the last day of every month, America/New_York"),
        (Cron(cron="*/15 * * * *"), "every 15th minute of every hour, America/New_York"),
        (Once(at=SKIPPED), "once on 2027-03-14 at 03:00, America/New_York"),
        (Daily(at="02:30", start=MARCH, max_runs=5),
         "every day at 02:30, America/New_York, from 2027-03-01 00:00, at most 5 times"),
        (Interval(every_seconds=10, end=SKIPPED, max_runs=1),
         "every 10 seconds, America/New_York, until 2027-03-14 03:00, only the first time"),
    ],
)  # fmt: skip
def test_schedules_in_words(form: Form, text: str) -> None:
    assert describe(form, ZoneInfo("America/New_York")) == text
