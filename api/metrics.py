"""Figures for Prometheus. Labels are route templates, never paths: nothing personal, and no label per user."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HttpMetrics:
    """Counts answers and their latency up to the first byte, by method and route."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "tooloo_http_requests", "Answers.", ("method", "route", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "tooloo_http_first_byte_seconds",
            "Time until an answer begins.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._templates: Mapping[Callable[..., Any], str] = {}
        ProcessCollector(registry=self._registry)

    def name_routes(self, templates: Mapping[Callable[..., Any], str]) -> None:
        """Tell which endpoint answers which route template."""
        self._templates = templates

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answer. What matched no route shares one label."""
        route = self._templates.get(scope.get("endpoint", HttpMetrics), "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, status).inc()
        self._latency.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """All figures in the text format of Prometheus."""
        return generate_latest(self._registry)
