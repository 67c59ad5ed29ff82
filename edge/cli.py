"""The device's command line. Each command imports what it needs when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from edge.contract.service.arguments import with_file_names
from edge.version import add_version

EXIT_CODES = """\
exit codes:
  0   done; also after SIGTERM or Ctrl-C (not locate)
  1   doctor: something failed
  2   a setting, a path or a permission is wrong
  3   the model bundle must not be used
  4   the machine failed: camera, disk
  5   the network
  6   a payload breaks the contract
  7   done, but for pictures, frames or videos that could not be read; each is named
  75  only a reboot can help the camera
  130 locate: Ctrl-C before the end
"""


_SETTINGS = "the device's settings (YAML)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what goes wrong is one line on standard error."""
    parser = _parser()
    options = parser.parse_args(with_file_names(parser, arguments))
    from edge.errors import CageclockError

    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except CageclockError as error:
        print(f"cageclock: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cageclock",
        description="A camera on a mouse cage that estimates how old each animal looks, and loses no reading.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_settings(commands)
    _add_processes(commands)
    _add_tools(commands)
    add_version(parser)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    made = commands.add_parser(
        name, help=text, description=text, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.set_defaults(run=run)
    return made


def _add_settings(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = _command(commands, "init", _init, "write a complete, commented example of the settings")
    init.add_argument("file", type=Path, help="the file to write; an existing one is left alone")
    check = _command(commands, "check", _check, "say whether a settings file is right, or which key is wrong")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the settings file")
    check.add_argument("--config", type=Path, metavar="FILE", help="the same, as the other commands name it")


def _add_processes(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    capture = _command(commands, "capture", _capture, "photograph on schedule and append each reading to the outbox")
    capture.add_argument("--captures", type=_positive, metavar="N", help="end after N due slots")
    capture.add_argument("--once", action="store_const", const=1, dest="captures", help="the same as --captures 1")
    capture.add_argument("--stepped", action="store_true", help="a clock that jumps from slot to slot")
    capture.add_argument(
        "--stepped-from", type=_time, metavar="TIME", help="where the stepped clock begins: ISO 8601 with an offset"
    )
    publish = _command(commands, "publish", _publish, "send the outbox to the broker; health, commands")
    for parser, line in ((capture, "a reading"), (publish, "a change")):
        parser.add_argument("--config", type=Path, required=True, metavar="FILE", help=_SETTINGS)
        text = f"print no line for {line}, as is done in a terminal; errors are printed all the same"
        parser.add_argument("-q", "--quiet", action="store_true", help=text)


def _add_tools(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = _command(commands, "doctor", _doctor, "check camera, model, broker, clock, disk and permissions")
    doctor.add_argument("--config", type=Path, required=True, metavar="FILE", help=_SETTINGS)
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    _add_locate(commands)
    _add_bundle(commands)
    units = _command(commands, "install-units", _install_units, "put units, users and system settings in place")
    units.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="a mounted card in place of /")
    units.add_argument("--station", action="store_true", help="the lab server's units in place of a device's")
    demo = _command(commands, "demo", _demo, "run the whole path on simulated cages, with a broker and a station")
    demo.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="FOLDER", help="for all files that come of it"
    )
    demo.add_argument("--cages", type=_positive, default=4, metavar="N", help="how many simulated cages (default 4)")
    demo.add_argument("--captures", type=_positive, default=230, metavar="N", help="captures of each cage")
    demo.add_argument("--seed", type=int, default=1, metavar="N", help="another one makes other mice (default 1)")
    demo.add_argument(
        "--broker", choices=("auto", "mosquitto", "amqtt"), default="auto", help="auto: mosquitto, else amqtt"
    )


def _add_locate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "find the animals' body parts in pictures and videos, as DeepLabCut's CSV"
    locate = _command(commands, "locate", _locate, text)
    locate.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="pictures and folders of pictures, or videos"
    )
    locate.add_argument("--bundle", type=Path, required=True, metavar="FILE", help="the model bundle")
    locate.add_argument("--key", type=Path, action="append", metavar="PEM", help="public key that may sign the bundle")
    locate.add_argument("--px-per-mm", type=float, metavar="SCALE", help="pixels per millimetre on the cage floor")
    locate.add_argument(
        "--animals",
        type=_positive,
        default=1,
        metavar="N",
        help="up to N animals a picture, in columns animal1 to animalN; in a video a column goes on with the animal "
        "nearest to its last place, which is no identification: animals that touch may be exchanged",
    )
    locate.add_argument("--every", type=_positive, default=1, metavar="N", help="look at every Nth frame of a video")
    locate.add_argument(
        "--dlc-csv",
        type=Path,
        required=True,
        metavar="OUT",
        help="the CSV of all pictures (a row a path) or of one video (a row a frame number); "
        "for several videos a folder, which gets VIDEO.csv of each",
    )


def _add_bundle(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bundle = commands.add_parser("bundle", help="install a model bundle, go back, say which one runs")
    actions = bundle.add_subparsers(title="actions", metavar="ACTION", required=True)
    text = "verify a bundle, try it in a child process, make it the active one"
    install = _command(actions, "install", _bundle_install, text)
    install.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the bundle")
    install.add_argument("--inbox", action="store_true", help="take every *.bundle of <state_dir>/inbox instead")
    back = _command(actions, "rollback", _bundle_rollback, "go back to the bundle before; refuse the present one")
    status = _command(actions, "status", _bundle_status, "the active bundle, the one before, the last installations")
    status.add_argument("--last", type=_positive, default=10, metavar="N", help="so many installations (default 10)")
    text = "set the highest release that a channel is said to have had; noted in the history and reported to the lab"
    reset = _command(actions, "reset-floor", _bundle_reset_floor, text)
    reset.add_argument("channel", metavar="CHANNEL", help="the channel's name, as `bundle status` shows it")
    reset.add_argument("release", type=_release, metavar="RELEASE", help="a bundle has to be above it; 0: any")
    reset.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever reads the history")
    for action in (install, back, status, reset):
        action.add_argument("--config", type=Path, required=True, metavar="FILE", help=_SETTINGS)


def _init(options: argparse.Namespace) -> int:
    from edge.config.example import write_example

    write_example(options.file)
    print(f"{options.file}: written; set device_id and cage, then: cageclock check {options.file}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from edge.config.load import config_sha256
    from edge.config.problems import check_file
    from edge.errors import OperatorError

    if (options.file is None) == (options.config is None):
        raise OperatorError("check: expected one settings file, as FILE or as --config FILE")
    path = options.file or options.config
    found = check_file(path)
    for error in found.errors:
        print(f"cageclock: {error}", file=sys.stderr)
    for warning in found.warnings:
        print(f"cageclock: {path}: warning: {warning}", file=sys.stderr)
    if found.config is None:
        return OperatorError.exit_code
    print(f"{path}: ok (device {found.config.device_id}, settings {config_sha256(found.config)[:12]})")
    return 0


def _capture(options: argparse.Namespace) -> int:
    from edge.capture.run import run
    from edge.config.load import load_config

    begin = options.stepped_from or (datetime.now(UTC) if options.stepped else None)
    shows = sys.stdout.isatty() and not options.quiet
    return run(load_config(options.config), captures=options.captures, stepped_from=begin, shows=shows)


def _publish(options: argparse.Namespace) -> int:
    from edge.config.load import load_config
    from edge.publish.run import run

    return run(load_config(options.config), shows=sys.stdout.isatty() and not options.quiet)


def _doctor(options: argparse.Namespace) -> int:
    from edge.config.load import load_config
    from edge.doctor.run import run

    return run(load_config(options.config), as_json=options.json)


def _bundle_install(options: argparse.Namespace) -> int:
    from edge.bundle.command import install

    return install(options)


def _bundle_rollback(options: argparse.Namespace) -> int:
    from edge.bundle.command import roll_back

    return roll_back(options)


def _bundle_reset_floor(options: argparse.Namespace) -> int:
    from edge.bundle.command import reset_floor

    return reset_floor(options)


def _bundle_status(options: argparse.Namespace) -> int:
    from edge.bundle.command import show

    return show(options)


def _install_units(options: argparse.Namespace) -> int:
    from edge.host.install_units import install_units

    for step in install_units(options.root, station=options.station):
        print(step, flush=True)
    return 0


def _locate(options: argparse.Namespace) -> int:
    from edge.footage.command import run

    return int(run(options))


def _demo(options: argparse.Namespace) -> int:
    from edge.demo.main import run

    return run(options.out, cages=options.cages, captures=options.captures, seed=options.seed, broker=options.broker)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _release(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise argparse.ArgumentTypeError(f"expected a whole number of up to 15 digits, got {text!r}")
    return int(text)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 2024-01-01T00:00:00+00:00, got {text!r}")
    return at


if __name__ == "__main__":
    sys.exit(main())
