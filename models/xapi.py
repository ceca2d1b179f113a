"""The part of xAPI statements (1.0.3 and 2.0) that TooLoo reads. The rest of a statement is let pass."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from models.identity import UserId

Iri = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20]{1,500}$")]
LANGUAGE, DIFFICULTY, TOPICS, TOPIC, PROVIDER = (
    f"urn:tooloo:{name}" for name in ("language", "difficulty", "topics", "topic", "provider")
)
"""Extensions of the activity or the context that say what xAPI has no words for."""


class _Part(BaseModel):
    """xAPI is open: what is not read is let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Account(_Part):
    """A user of TooLoo; the home page is not looked at."""

    name: UserId = Field(examples=["ada"])


class Actor(_Part):
    """Whose statement it is: by account, or by e-mail address when that is the user id."""

    account: Account | None = None
    mbox: Annotated[str, StringConstraints(pattern=r"^mailto:.{1,200}$")] | None = None


class Verb(_Part):
    """What was done."""

    id: Iri = Field(examples=["http://adlnet.gov/expapi/verbs/completed"])


class Definition(_Part):
    """What TooLoo reads of an activity's definition."""

    extensions: dict[str, Any] = Field(default_factory=dict[str, Any])


class Activity(_Part):
    """What it was done to."""

    id: Iri = Field(examples=["https://example.com/challenges/two-sum"])
    definition: Definition = Definition()


class Score(_Part):
    """How well."""

    scaled: float | None = Field(default=None, ge=-1, le=1, allow_inf_nan=False)
    raw: float | None = Field(default=None, allow_inf_nan=False)
    min: float = Field(default=0, allow_inf_nan=False)
    max: float = Field(default=100, allow_inf_nan=False)


class Result(_Part):
    """What came of it."""

    score: Score | None = None
    success: bool | None = None
    duration: timedelta | None = None


class Context(_Part):
    """What TooLoo reads of a context."""

    extensions: dict[str, Any] = Field(default_factory=dict[str, Any])


class Statement(_Part):
    """One statement."""

    id: UUID | None = None
    actor: Actor
    verb: Verb
    object: Activity
    result: Result = Result()
    context: Context = Context()
    timestamp: AwareDatetime | None = None
