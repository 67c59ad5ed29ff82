"""The fuzzing of the decoders in small."""

import pytest

from tests.campaigns.campaign import carry_out


@pytest.mark.slow
def test_no_input_makes_a_decoder_do_more_than_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python")
    from tests.campaigns.fuzz import run

    line = carry_out(run, "fuzzed decoders", "inputs", seed=20261121, budget=100_000)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done >= 99_000
