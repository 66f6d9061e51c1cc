"""What is counted of streams."""

from __future__ import annotations

from libs.chassis.measure.metrics import API, GaugeValue, Metrics


class StreamMeasures:
    """Shared by all streams of this process."""

    def __init__(self, metrics: Metrics) -> None:
        self.connected = 0
        self._frames = metrics.counter("pager_stream_frames", "Frames that were handed to clients.")
        self._closed = metrics.counter("pager_stream_closed", "Streams that ended, by the close's code.", "code")
        self._delay = metrics.histogram(
            "pager_stream_delay_seconds", "From the bus to the buffers of all who see it, of each change.", buckets=API
        )

    def sent(self, frames: int) -> None:
        self._frames.inc(frames)

    def delayed(self, seconds: float) -> None:
        """A change has been told to all who see it."""
        self._delay.observe(seconds)

    def closed(self, code: int) -> None:
        """Codes are ours, and 1000 where the client has left, with whatever code of its own."""
        self._closed.labels(str(code)).inc()

    def gauges(self) -> tuple[GaugeValue, ...]:
        return (GaugeValue("pager_stream_connections", "Streams that are open and signed in.", self.connected),)
