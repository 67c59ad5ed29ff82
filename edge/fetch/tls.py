"""Whom an HTTPS server must be certified by: the machine's authorities, and the lab's own of the broker's settings."""

from __future__ import annotations

import ssl

from edge.config.tree import Config
from edge.fetch.download import Failed


def client_context(config: Config) -> ssl.SSLContext:
    """Return the context; the device's own certificate is not shown to anybody.

    Raises:
        Failed: the lab's authority (`mqtt.tls.ca`) cannot be read.
    """
    context = ssl.create_default_context()
    if config.mqtt.tls is not None:
        try:
            context.load_verify_locations(cafile=config.mqtt.tls.ca)
        except (OSError, ssl.SSLError) as error:
            raise Failed("unreachable", f"mqtt.tls.ca: {config.mqtt.tls.ca} cannot be read: {error}") from error
    return context
