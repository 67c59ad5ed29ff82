"""Commands whose packages come with an extra: imported when they are called, and named where they are missing."""

from __future__ import annotations

import argparse
from importlib import import_module

from edge.errors import OperatorError


def run_optional(module: str, extra: str, name: str, options: argparse.Namespace) -> int:
    """Run the function `name` of a module and return its exit code.

    Raises:
        OperatorError: a package is not installed; the extra that brings it is named.
    """
    try:
        command = import_module(module)
    except ImportError as error:
        text = f"{name.replace('_', '-')}: {error.name} is not installed: pip install 'cageclock[{extra}]'"
        raise OperatorError(text) from error
    code: int = getattr(command, name)(options)
    return code
