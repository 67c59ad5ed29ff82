"""`suggest`: the frames most worth labelling next, as a DeepLabCut project."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge.contract.service.argument_types import positive, scale
from edge.contract.service.exit_codes import BUNDLE, MACHINE, PASSED_OVER
from edge.contract.service.subcommands import Commands, add_command
from edge.errors import OperatorError
from training.command_options import passed_over


def add_commands(commands: Commands) -> None:
    """Add it to the training's command line."""
    text = "choose the frames most worth labelling next and write them as a DeepLabCut project"
    suggest = add_command(commands, "suggest", _suggest, text, exits=BUNDLE | MACHINE | PASSED_OVER)
    whose = suggest.add_mutually_exclusive_group(required=True)
    whose.add_argument("--run", dest="trained", type=Path, metavar="RUN", help="folder of `locator --dlc`")
    whose.add_argument("--bundle", type=Path, help="bundle whose locator is asked")
    suggest.add_argument("--trust", type=Path, help="public key of --bundle (PEM; default: the .pub beside it)")
    suggest.add_argument("sources", type=Path, nargs="+", metavar="SOURCE", help="a video file or a folder of images")
    suggest.add_argument("--out", type=Path, required=True, metavar="PROJECT", help="a new folder")
    suggest.add_argument(
        "--count", type=positive, default=20, metavar="N", help="how many frames to choose (default %(default)s)"
    )
    suggest.add_argument(
        "--look-at",
        type=positive,
        default=400,
        metavar="N",
        help="how many evenly spaced frames are judged a source (default %(default)s)",
    )
    suggest.add_argument(
        "--px-per-mm",
        type=scale,
        default=None,
        metavar="PX_PER_MM",
        help="scale of the pictures in pixels per millimetre, if calibrated",
    )
    suggest.add_argument("--scorer", default="cageclock", help="who labels (default %(default)s)")
    suggest.add_argument("--no-labels", action="store_true", help="give no predicted labels to start from")


def _suggest(options: argparse.Namespace) -> int:
    from edge.footage.faults import Faults
    from edge.vision.model.loaded import load_model
    from training.bundle.trusted import open_trusted
    from training.deeplabcut.write import Suggestion, write_project
    from training.locator.active_learning import candidates, choose, pictures

    bundle = options.trained / "own-locator.bundle" if options.trained else options.bundle
    key = options.trained / "key.pub" if options.trained else options.trust or bundle.with_suffix(".pub")
    stems = [source.stem for source in options.sources]
    for stem in stems:
        if stems.count(stem) > 1:
            raise OperatorError(f"SOURCE: expected different names, got {stem!r} {stems.count(stem)} times")
    if options.out.exists() and any(options.out.iterdir()):
        raise OperatorError(f"{options.out}: expected a new or empty folder for the project, it holds something")
    if not options.scorer.replace("-", "").isalnum():
        raise OperatorError(f"--scorer: expected letters and digits, got {options.scorer!r}")
    model = load_model(open_trusted(bundle, key))
    faults = Faults()
    found = [
        one
        for source in options.sources
        for one in candidates(source, model, options.px_per_mm, options.look_at, faults)
    ]
    chosen = choose(found, options.count)
    rows = []
    for source in options.sources:
        mine = {one.number: one for one in chosen if one.source == source}
        for number, name, pixels in pictures(source, options.look_at, frozenset(mine)):
            rows.append(Suggestion(source.stem, name, pixels, mine[number].uncertainty.points))
    keypoints = model.manifest.parts.keypoints
    write_project(options.out, rows, keypoints, options.sources, options.scorer, labels=not options.no_labels)
    why = [
        {
            "source": one.source.name,
            "picture": one.name,
            "uncertainty": round(one.uncertainty.total, 4),
            "unlikely": round(one.uncertainty.unlikely, 4),
            "spread": round(one.uncertainty.spread, 4),
            "unstable": round(one.uncertainty.unstable, 4),
        }
        for one in chosen
    ]
    (options.out / "suggestions.json").write_text(json.dumps(why, indent=1) + "\n")
    print(f"{options.out / 'config.yaml'}: {len(chosen)} of {len(found)} frames")
    return passed_over(faults)
