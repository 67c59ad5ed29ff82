"""The one place that holds the version of the distribution."""

VERSION = "0.1.0"
