"""What the age model learns from: ages, animals, groups and frailty items of a run's table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import OperatorError
from tests.training.small_animals import SPEC, small_animals, small_crops
from training.age.data import age_data
from training.age.unlabelled import unlabelled_crops
from training.crops.split import split_by_group
from training.crops.table import Crops
from training.run import Run


def test_rows_without_an_age_are_left_out_and_items_go_along(tmp_path: Path) -> None:
    """Ages, animals and scores stay in step; a missing score is NaN."""
    data = small_animals(4, 3)
    age = data.age_days.astype(float).copy()
    age[[1, 7]] = np.nan
    score = np.where(np.arange(12) % 2 == 0, 0.5, np.nan)
    crops = small_crops(data, frailty_fur=score)
    crops.table["age_days"] = age
    crops.save(Run(tmp_path))
    found = age_data(Run(tmp_path))
    kept = np.delete(np.arange(12), [1, 7])
    np.testing.assert_array_equal(found.crops, data.crops[kept])
    np.testing.assert_allclose(found.age_days, data.age_days[kept])
    np.testing.assert_array_equal(found.items[:, 0], score[kept].astype(np.float32))
    assert found.item_names == ("frailty_fur",)
    assert not found.simulated
    assert len(np.unique(found.animal)) == 4


@pytest.mark.parametrize("score", ["bald", "1.5", "-1"])
def test_a_score_that_is_none_is_named_with_row_and_column(tmp_path: Path, score: str) -> None:
    scores = ["", "0.5", score] + [""] * 9
    small_crops(small_animals(4, 3), frailty_fur=scores).save(Run(tmp_path))
    with pytest.raises(OperatorError, match=r"crops.csv: row 4: column frailty_fur: expected a score from 0 to 1"):
        age_data(Run(tmp_path))


def test_a_table_without_any_age_is_one_clear_error(tmp_path: Path) -> None:
    crops = small_crops(small_animals(3, 2))
    crops.table["age_days"] = np.nan
    crops.save(Run(tmp_path))
    with pytest.raises(OperatorError, match="column age_days: expected an age in some row"):
        age_data(Run(tmp_path))


def test_pretraining_sees_no_held_out_animal(tmp_path: Path) -> None:
    """A run gives its training cages only."""
    crops = small_crops(small_animals(8, 3))
    crops.save(Run(tmp_path))
    found = unlabelled_crops(tmp_path, SPEC, most=1000)
    train = split_by_group(Crops.load(Run(tmp_path)).groups(), 1).train
    np.testing.assert_array_equal(found, crops.pixels[train])
    assert len(unlabelled_crops(tmp_path, SPEC, most=5)) == 5


def test_pictures_of_any_size_give_windows_of_the_crops_size(tmp_path: Path) -> None:
    """A folder: its own size as it is, others cut or enlarged; the same seed cuts the same."""
    from PIL import Image

    rng = np.random.default_rng(1)
    for number, (height, width) in enumerate([(64, 96), (200, 300), (40, 50)]):
        Image.fromarray(rng.integers(1, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    found = unlabelled_crops(tmp_path, SPEC, most=10)
    assert found.shape == (3, 64, 96, 1)
    with Image.open(tmp_path / "0.png") as picture:
        np.testing.assert_array_equal(found[0, :, :, 0], np.asarray(picture.convert("L")))
    np.testing.assert_array_equal(found, unlabelled_crops(tmp_path, SPEC, most=10))
    assert len(unlabelled_crops(tmp_path, SPEC, most=2)) == 2


def test_a_video_gives_windows_too(tmp_path: Path) -> None:
    """Frames of a video, evenly chosen among all by chance."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 160, 128
        for number in range(12):
            frame = av.VideoFrame.from_ndarray(np.full((128, 160, 3), number * 20, np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    assert unlabelled_crops(tmp_path / "v.mp4", SPEC, most=5).shape == (5, 64, 96, 1)


def test_what_is_no_source_of_pictures_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(OperatorError, match=r"broken.png"):
        unlabelled_crops(tmp_path, SPEC, most=5)
    with pytest.raises(OperatorError, match=r"--crops: .*nowhere does not exist"):
        unlabelled_crops(tmp_path / "nowhere", SPEC, most=5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(OperatorError, match="holds no images"):
        unlabelled_crops(tmp_path / "empty", SPEC, most=5)
