"""Device and training cut the same bits: there is one preprocessing, and its cuts of a known picture are known."""

from __future__ import annotations

import ast
import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

import training
from edge.contract.manifest import CENTRES, PARTS, PREPROCESS_VERSIONS
from edge.errors import OperatorError
from edge.simulate import Activity, CageSetup, Placement, SimulatedCage, create_population
from edge.vision.preprocess import age_input, centres_input, parts_input, small_view
from edge.vision.views import views_of
from training.deeplabcut.frames import cut_project, read_main
from training.deeplabcut.read import LabelledFrame, Project
from training.networks.shapes import age_spec, centres_spec, parts_spec
from training.run import CROPS, Run

GOLDEN = {"centres": "f2363736fbc46511", "parts": "4268ab10b6ae372b", "age": "513d841c3e1a7257"}
"""SHA-256, its first 16 digits. Other cuts need another PREPROCESS_VERSION, or bundles meet pictures they never saw."""


def known_picture() -> np.ndarray:
    """Return a coarse pattern with edges everywhere, uint8 (720, 960, 3)."""
    coarse = np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    return np.ascontiguousarray(np.repeat(np.repeat(coarse, 12, axis=0), 12, axis=1))


def test_the_cuts_of_a_known_picture_are_known() -> None:
    """Small view, body-part crop and age crop of a fixed picture have fixed digests."""
    main = known_picture()
    cuts = {
        "centres": centres_input(small_view(main, 320), centres_spec()),
        "parts": parts_input(main, (431.5, 300.25), 4.0, parts_spec()).pixels,
        "age": age_input(main, (600.0, 310.5), (330.25, 402.0), 4.0, age_spec()).pixels,
    }
    assert {name: hashlib.sha256(cut.tobytes()).hexdigest()[:16] for name, cut in cuts.items()} == GOLDEN


def test_labelled_pictures_are_cut_by_the_device(tmp_path: Path) -> None:
    """What training makes of a labelled picture is, byte for byte, what the device makes of the same picture."""
    from PIL import Image

    setup = CageSetup.from_seed(4, width_px=640, height_px=480, px_per_mm=8 / 3)
    animals = create_population(4, 1, born_from=date(2025, 1, 1), born_until=date(2025, 1, 1))
    frame = SimulatedCage("c", animals, setup).photograph(
        at=datetime(2025, 9, 1, tzinfo=UTC),
        light="white",
        zeitgeber_h=15.0,
        seed=4,
        activity=Activity((Placement("stretched"),)),
    )
    Image.fromarray(frame.image).save(tmp_path / "img.png")
    parts = ("snout", "tail_base")
    labels = np.array([frame.truth.animals[0].keypoints[part][:2] for part in parts])
    specs = centres_spec(), parts_spec(parts)
    labelled = LabelledFrame(tmp_path / "img.png", (labels,), tmp_path / "labels.csv", 4, ((2, 4),))
    data = cut_project(Project(parts, (labelled,)), *specs)
    np.testing.assert_array_equal(data.views[0], centres_input(small_view(frame.image, 320), specs[0]))
    middle = labels.mean(axis=0)
    crop = parts_input(frame.image, (float(middle[0]), float(middle[1])), None, specs[1])
    np.testing.assert_array_equal(data.crops[0], crop.pixels)


def test_training_resizes_nothing_by_itself() -> None:
    """No module of training imports an image library to cut with: edge.vision.preprocess and edge.vision.image cut.

    PIL is allowed where a report, a foreign scene or an outlier is drawn, pictures are compared, or a ready crop turns
    grey.
    """
    allowed = ("metrics.py", "contact_sheet.py", "drawings.py", "pictures.py", "cut.py", "foreign.py", "outliers.py")
    for path in Path(training.__file__).parent.rglob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {part for alias in node.names for part in (alias.name, alias.name.split(".")[0])}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, node.module.split(".")[0]}
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        assert not names & {"cv2", "skimage", "scipy.ndimage", "torchvision"}, path
        assert "PIL" not in names or path.name in allowed, path


def labelled_picture(path: Path, width: int, height: int) -> Project:
    """Return a project of one noisy picture with one labelled animal."""
    from PIL import Image

    Image.fromarray(np.random.default_rng(9).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    labels = np.array([[width * 0.55, height * 0.5], [width * 0.45, height * 0.5]])
    return Project(("snout", "tail_base"), (LabelledFrame(path, (labels,), path, 4, ((2, 4),)),))


def test_a_locator_learns_from_what_the_bundle_it_goes_into_will_show_it(tmp_path: Path) -> None:
    """By an older version large pictures are cut as they were for it; of small ones every version makes the same."""
    parts = ("snout", "tail_base")
    large = labelled_picture(tmp_path / "large.png", 1400, 1050)
    specs = centres_spec(), parts_spec(parts)
    old, new = (cut_project(large, *specs, 3.0, version) for version in PREPROCESS_VERSIONS)
    main = read_main(large.frames[0])
    for version, data in (("2", old), ("3", new)):
        view = small_view(views_of(main, version), specs[0].small_width)
        np.testing.assert_array_equal(data.views[0], centres_input(view, specs[0]))
    assert not np.array_equal(old.views, new.views)
    assert (old.cut_by, new.cut_by) == (("2",), ("3",))
    small = labelled_picture(tmp_path / "small.png", 640, 480)
    assert cut_project(small, *specs, 1.0, "2").cut_by == PREPROCESS_VERSIONS


def test_a_run_names_the_version_that_all_of_its_pictures_were_cut_by(tmp_path: Path) -> None:
    """Nothing noted is version 2, as before; what was cut by different versions cannot become one bundle."""
    run = Run(tmp_path)
    assert run.preprocess_version() == "2"
    for name in (CROPS, CENTRES, PARTS):
        run.note_cut_by(name, PREPROCESS_VERSIONS)
    assert run.preprocess_version() == "3"
    run.note_cut_by(CENTRES, ("2",))
    assert run.preprocess_version() == "2"
    run.note_cut_by(CROPS, ("3",))
    with pytest.raises(OperatorError, match=r"cut from their pictures by one version.*crops.npz by version 3"):
        run.preprocess_version()
