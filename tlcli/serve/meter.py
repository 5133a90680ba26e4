"""What Prometheus reads: requests, batches, queues, versions; labels are of bounded number."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Meter:
    """The figures of one server."""

    def __init__(self) -> None:
        """Begin at zero."""
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter(
            "tl_requests", "Requests that were answered.", ["route", "code"], registry=own
        )
        self.seconds = Histogram(
            "tl_request_seconds", "From head to answer.", ["route"], buckets=SECONDS, registry=own
        )
        self.pictures = Counter(
            "tl_pictures", "Pictures that were looked at.", ["model"], registry=own
        )
        self.batches = Histogram(
            "tl_batch_size", "Pictures a step.", ["model"], buckets=SIZES, registry=own
        )
        self.steps = Histogram(
            "tl_step_seconds", "Of a step of a model.", ["model"], buckets=SECONDS, registry=own
        )
        self.decoding = Histogram(
            "tl_decode_seconds", "Of decoding a picture.", buckets=SECONDS, registry=own
        )
        self.pending = Gauge(
            "tl_pending_pictures", "Pictures that were taken and not answered.", registry=own
        )
        self.reloads = Counter(
            "tl_reloads", "New versions, taken or refused.", ["model", "outcome"], registry=own
        )
        self.models = Gauge(
            "tl_model", "1 for the version that answers.", ["model", "version"], registry=own
        )

    def step(self, model: str, pictures: int, seconds: float) -> None:
        """Count a step of a model."""
        self.pictures.labels(model).inc(pictures)
        self.batches.labels(model).observe(pictures)
        self.steps.labels(model).observe(seconds)

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count an answer."""
        self.requests.labels(route, str(code)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)
