"""The parts the facade is built from, made once and shared by all requests."""

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.cache import VersionedCache
from api.idempotency import AnswerSeal
from api.loader import Loader
from api.metrics import HttpMetrics
from api.step_reports import StepReports
from models.persistence.database import autocommit
from models.persistence.values import BlobStore
from models.settings import Settings
from services.analytics.ingest import Ingest
from services.analytics.learners import LearnerVersion
from services.analytics.open_badges import Issuer
from services.context.parsers import Parsers
from services.context.search.searching import SearchService
from services.identity.secrets import SecretSeal
from workflows.compiled import CompiledDefinitions


@dataclass(frozen=True)
class Parts:
    """What routes work with."""

    settings: Settings
    database: AsyncEngine
    temporal: Client
    blobs: BlobStore
    seal: AnswerSeal
    secret_seal: SecretSeal
    metrics: HttpMetrics
    compiled: CompiledDefinitions
    reports: StepReports
    ingest: Ingest
    answers: VersionedCache
    search: SearchService
    parsers: Parsers
    """Whoever stops the process ends them."""
    versions: Loader[str, LearnerVersion]
    """Of what is known of users, by id."""
    issuer: Issuer

    @cached_property
    def autocommit(self) -> AsyncEngine:
        """The database for single statements."""
        return autocommit(self.database)
