"""Which devices and which runtimes a bundle is for."""

import msgspec
import pytest

from edge.bundle.rules import check_runtime, check_target
from edge.contract.bundle.bundle import Bundle
from edge.errors import BundleError

LITERT = "ai-edge-litert 2.3.0"


@pytest.mark.parametrize(
    ("wanted", "runtime"),
    [
        ("ai-edge-litert 1.4 / tflite-runtime 2.14", LITERT),
        ("ai-edge-litert 1.4 / tflite-runtime 2.14", "tflite-runtime 2.14.0"),
        ("2.0", LITERT),
        ("2.3", LITERT),
        ("ai-edge-litert 2.3.0", "ai-edge-litert 2.3"),
        ("2.9", "tflite-runtime 2.14.0"),
        ("2.14", "tflite-runtime 2.14.0.post1"),
    ],
)
def test_a_runtime_that_is_new_enough_serves(wanted: str, runtime: str) -> None:
    check_runtime(wanted, runtime)


@pytest.mark.parametrize(
    ("wanted", "runtime", "reason"),
    [
        ("ai-edge-litert 2.4", LITERT, f"this device has {LITERT}"),
        ("2.10", "tflite-runtime 2.9.1", "the bundle needs 2.10"),
        ("tflite-runtime 2.1", LITERT, "the bundle needs tflite-runtime 2.1"),
        ("", LITERT, "expected alternatives such as"),
        ("the newest", LITERT, "got 'the newest'"),
    ],
)
def test_one_that_is_not_is_named_with_what_it_should_be(wanted: str, runtime: str, reason: str) -> None:
    with pytest.raises(BundleError, match="runtime_min: ") as caught:
        check_runtime(wanted, runtime)
    assert reason in str(caught.value)


def test_a_bundle_is_for_its_group_or_for_any(tiny_bundle: Bundle) -> None:
    check_target(tiny_bundle.manifest, ["test"])
    check_target(msgspec.structs.replace(tiny_bundle.manifest, target_group="any"), [])
    for groups, device in (([], "this device is in no group"), (["a", "any"], "this device is in 'a', 'any'")):
        with pytest.raises(BundleError, match=device):
            check_target(tiny_bundle.manifest, groups)
