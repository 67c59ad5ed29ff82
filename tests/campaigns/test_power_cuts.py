"""Power cuts under the outbox and under the station; what full runs found is in docs/reliability.md."""

import pytest

from edge.outbox import Outbox
from station.store import store as station_store
from station.store.picture import _sync_all
from station.store.store import Store
from tests.campaigns import power_cuts, station_cuts
from tests.campaigns.campaign import carry_out


def test_a_thousand_power_cuts_lose_nothing_that_append_had_returned_for() -> None:
    line = carry_out(power_cuts.run, "power cuts", "cuts", 20261121, 1_000)
    print(line.text())
    assert line.found == []
    assert line.done == 1_000


def test_the_campaign_notices_an_outbox_that_does_not_sync() -> None:
    def weaken(outbox: Outbox) -> None:
        outbox._file.connection.execute("PRAGMA synchronous = NORMAL")

    line = carry_out(lambda of, budget: power_cuts.run(of, budget, weaken), "weakened", "cuts", 1, 200)
    assert "lost" in "".join(line.found) or "second time" in "".join(line.found)


def test_the_campaign_notices_a_device_that_does_not_sync_the_names_of_its_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.outbox.thumbnails.sync_folder", lambda _folder: None)
    line = carry_out(power_cuts.run, "weakened", "cuts", 1, 200)
    assert "names a picture that is not there whole" in "".join(line.found)


def test_three_hundred_power_cuts_cost_the_station_nothing_that_it_had_promised() -> None:
    line = carry_out(station_cuts.run, "power cuts of the station", "cuts", 20261121, 300)
    print(line.text())
    assert line.found == []
    assert line.notes["pictures judged"] > 1_000


def test_the_campaign_notices_a_station_that_does_not_sync_its_database() -> None:
    def weaken(store: Store) -> None:
        store._connection.execute("PRAGMA synchronous = NORMAL")

    line = carry_out(lambda of, budget: station_cuts.run(of, budget, weaken), "weakened", "cuts", 1, 200)
    assert "promised and is lost" in "".join(line.found)


@pytest.mark.parametrize("what", ["files", "folders"])
def test_the_campaign_notices_a_station_that_does_not_sync_its_pictures(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def sync_some(data, files, paths):  # type: ignore[no-untyped-def]
        folders = sorted({parent for path in paths for parent in path.parents})
        _sync_all([data / path for path in (folders if what == "files" else files)])

    monkeypatch.setattr(station_store, "sync_pictures", sync_some)
    line = carry_out(station_cuts.run, "weakened", "cuts", 1, 300)
    assert "names a file that is not there whole" in "".join(line.found)


def test_the_campaign_notices_a_station_whose_accounts_are_saved_after_the_records() -> None:
    def weaken(store: Store) -> None:
        ledger, connection = store._ledger, store._connection
        save, settle = ledger.save, ledger.settle

        def settle_late() -> None:
            connection.execute("BEGIN IMMEDIATE")
            save()
            connection.execute("COMMIT")
            settle()

        ledger.save, ledger.settle = lambda: None, settle_late  # type: ignore[method-assign]

    line = carry_out(lambda of, budget: station_cuts.run(of, budget, weaken), "weakened", "cuts", 1, 300)
    assert "not accounted for" in "".join(line.found)
