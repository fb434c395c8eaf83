"""Figures for whoever watches the server, as Prometheus reads them. They name no customer."""

import math
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ruleengine.store.records import RunState, VersionKind
from ruleengine.verbs import jobs

from .edge import Exchange
from .openapi import refusals
from .provenance import NOW, Published

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RUNS = 100
"""Runs that are looked at, the latest."""


@dataclass(slots=True)
class _Times:
    """How long requests took."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """How many took at most each bound and more than the one before it; the last, more than all."""
    seconds: float = 0.0

    def add(self, other: "_Times") -> None:
        self.buckets = list(map(sum, zip(self.buckets, other.buckets, strict=True)))
        self.seconds += other.seconds


class Metrics(Collector):
    """What was asked of this process, and what the store has."""

    def __init__(self, published: Published) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_OfStore(published))
        self._registry.register(self)
        self._counting = Lock()
        self._times: defaultdict[tuple[str, int], _Times] = defaultdict(_Times)
        """Of each operation and status."""

    def answered(self, exchange: Exchange) -> None:
        """Count a request, by the path as the document has it; one that leads nowhere has none."""
        with self._counting:
            times = self._times[exchange.route or "none", exchange.status]
            times.buckets[bisect_left(BUCKETS, exchange.seconds)] += 1
            times.seconds += exchange.seconds

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily("ruleengine_requests", "Requests answered.", labels=("operation", "status"))
        every: defaultdict[str, _Times] = defaultdict(_Times)
        for (operation, status), times in tuple(self._times.items()):
            requests.add_metric((operation, str(status)), sum(times.buckets))
            every[operation].add(times)
        yield requests
        words = "From a request to the end of its answer."
        seconds = HistogramMetricFamily("ruleengine_request_seconds", words, labels=("operation",))
        for operation, times in every.items():
            bounds = map(floatToGoString, (*BUCKETS, math.inf))
            seconds.add_metric((operation,), list(zip(bounds, accumulate(times.buckets), strict=True)), times.seconds)
        yield seconds


class _OfStore(Collector):
    """What is published, what is at work, and what waits."""

    def __init__(self, published: Published) -> None:
        self._published = published

    def describe(self) -> Iterator[Metric]:
        return iter(())  # It is not asked before there is a store.

    def collect(self) -> Iterator[Metric]:
        store = self._published.store
        version, runs = store.current(), jobs.runs(store, RUNS)
        if version is not None:
            yield _gauge("version", "Number of the current version.", version.number)
            age = time.time() - version.created_at.timestamp()
            yield _gauge("version_age_seconds", "Since the current version was published.", age)
            days = (self._published.today() - version.as_of).days
            yield _gauge("as_of_age_days", "Since the day that the current version is for.", days)
            yield _gauge("customers", "Customers of the current version.", version.counts.customers)
        # One that was held before another version came cannot be published any more.
        base = version.number if version is not None else None
        held = sum(run.state is RunState.HELD and run.base == base for run in runs)
        yield _gauge("held_runs", "Runs that wait for somebody to publish them.", held)
        at_work = sum(run.state is RunState.RUNNING for run in runs)
        yield _gauge("running_runs", "Runs at work; meanwhile nobody else writes.", at_work)
        last = next((run for run in runs if run.finished_at is not None and run.kind is VersionKind.RUN), None)
        if last is not None and last.finished_at is not None:
            seconds = (last.finished_at - last.started_at).total_seconds()
            yield _gauge("last_run_seconds", "How long the last run took that came to an end.", seconds)
            failed = last.state is RunState.FAILED
            yield _gauge("last_run_failed", "1 where the last run that came to an end failed.", failed)
            words = "How long each phase of it took that it came to the end of."
            phases = GaugeMetricFamily("ruleengine_last_run_phase_seconds", words, labels=("phase",))
            for name in dict.fromkeys(phase["name"] for phase in last.phases):
                took = sum(phase["seconds"] for phase in last.phases if phase["name"] == name)
                phases.add_metric((name,), took)
            yield phases


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"ruleengine_{name}", words, value=value)


def router(published: Published, metrics: Metrics) -> APIRouter:
    routes = APIRouter(tags=["operate"])

    @routes.get(
        "/metrics",
        response_class=Response,
        operation_id="readMetrics",
        summary="Figures for whoever watches the server",
        description="In the text format of Prometheus; of this server process alone, as far as requests are counted.",
        responses={**refusals(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def read() -> Response:
        text = await published.slowly(metrics.text)
        return Response(text, headers=NOW, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes
