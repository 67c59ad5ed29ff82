"""`cageclock-station run`: the logger."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.exit_codes import MACHINE, NETWORK
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    exits = {0: "ended as it was asked to, by SIGTERM or Ctrl-C"} | MACHINE | NETWORK
    parser = add_command(commands, "run", _run, "subscribe, store, promise `committed`", exits=exits)
    parser.add_argument("--config", type=Path, help="station.yaml; the flags below win over it")
    parser.add_argument("--name", help="the station's name, which the devices have as mqtt.station")
    parser.add_argument("--data", help="folder of database and thumbnails")
    parser.add_argument("--database", metavar="URL", help="postgresql://USER@HOST/DATABASE instead of a file in --data")
    parser.add_argument("--database-password-file", metavar="FILE", help="file with the database's password")
    parser.add_argument("--host", help="the broker (default localhost)")
    parser.add_argument("--port", type=int, metavar="PORT", help="the broker's port (default 1883)")
    parser.add_argument("--mqtt-version", choices=["5", "3.1.1"], help="version of MQTT (default 5)")
    parser.add_argument("--username", help="the broker's name for this station, with --password-file")
    parser.add_argument("--password-file", help="file with the password in its first line")
    parser.add_argument("--ca-file", dest="tls_ca_file", help="certificate authority of the broker (PEM)")
    parser.add_argument("--cert-file", dest="tls_cert_file", help="this station's certificate (PEM)")
    parser.add_argument("--key-file", dest="tls_key_file", help="this station's key (PEM)")


def _run(options: argparse.Namespace) -> int:
    from station.ingest.process import run
    from station.ingest.settings import load_settings

    flags = {key: value for key, value in vars(options).items() if key not in ("run", "config")}
    return run(load_settings(options.config, flags))
