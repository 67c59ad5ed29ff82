"""The device's durable sequence of records: written by capture, read by publish."""

from edge.outbox.outbox import Outbox

__all__ = ["Outbox"]
