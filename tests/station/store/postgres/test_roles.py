"""Who owns the log makes it; the logger adds to it and cannot strike a record; a reader reads."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from edge.errors import OperatorError, StorageError
from station import cli
from station.status import load_status
from station.store import schema
from station.store.postgres.address import Address
from station.store.postgres.place import keep_address
from station.store.postgres.upgrade import bring_up_to_date, read_version
from station.store.retention import Rule
from station.store.store import Store
from tests.harness.postgres import Postgres
from tests.station import samples
from tests.station.samples import arrival
from tests.station.store.postgres.lab import Lab, promise


@pytest.fixture
def ready(server: Postgres, url: str) -> Iterator[str]:
    """A database that its owner has made ready, with a user of each role."""
    assert cli.main(["database", "init", "--database", url, "--roles", "grant"]) == 0
    with server.connect() as session:
        for name in ("logger", "reader", "retention"):
            session.execute(f"DROP ROLE IF EXISTS {name}_user")
            session.execute(f"CREATE ROLE {name}_user LOGIN IN ROLE cageclock_{name}")
    yield url
    with server.connect() as session:
        for name in ("logger", "reader", "retention"):
            session.execute(f"DROP ROLE {name}_user")


def of(data: Path, url: str, user: str) -> Lab:
    return Lab(data, url.replace("//lab@", f"//{user}@"))


def test_the_logger_logs_and_cannot_strike_or_change_a_record(ready: str, tmp_path: Path) -> None:
    lab = of(tmp_path / "lab", ready, "logger_user")
    jpeg = samples.picture(1)
    with lab.store() as store:
        store.take([arrival(samples.reading(1, thumbnail=jpeg), 1), samples.picture_arrival(jpeg)])
        store.take([arrival(samples.reading(1, age_days=5), 1), arrival(b'{"schema":"x"}', 2)])
        while store.settle_days():
            pass
        assert promise(store).through == 2
    assert cli.main(["backup", "--data", str(lab.data), "--out", str(tmp_path / "backup")]) == 0
    address = Address(database=str(lab.url), database_durability="relaxed")
    with psycopg.connect(**address.parameters(), autocommit=True) as session:
        for table in ("records", *(f"records_{part}" for part in range(8))):
            for statement in (
                f"DELETE FROM main.{table}",
                f"UPDATE main.{table} SET body = ''",
                f"TRUNCATE main.{table}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("DROP TABLE main.records")


def test_a_logger_empties_no_body_and_who_looks_after_retention_does(ready: str, tmp_path: Path) -> None:
    logger, other = of(tmp_path / "lab", ready, "logger_user"), of(tmp_path / "other", ready, "retention_user")
    rules, now_s = [Rule(what="bodies", older_than_days=1)], 1.9e9
    with logger.store() as store:
        store.take([arrival(samples.reading(1), 1)])
        with pytest.raises(StorageError, match="permission denied"):
            store.retain_part(rules, "the logger", now_s)
        assert store.take([arrival(samples.reading(2), 2)]).stored == 1
    with other.store() as store:
        assert store.retain_part(rules, "another", now_s)[0] == 2


def test_a_logger_names_a_damaged_record_and_leaves_its_repair_to_the_owner(
    ready: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger, owner = of(tmp_path / "lab", ready, "logger_user"), of(tmp_path / "owner", ready, "lab")
    with logger.store() as store:
        store.take([arrival(samples.reading(seq), seq) for seq in (1, 2)])
    with closing(schema.open_for_writing(owner.data)) as connection:
        connection.execute("UPDATE records SET seal = seal + 1 WHERE seq = 1")
    assert cli.main(["verify", "--data", str(logger.data)]) == 1
    assert logger.query("SELECT count(*) FROM records") == [(2,)]
    assert cli.main(["verify", "--data", str(owner.data)]) == 1
    assert owner.query("SELECT count(*) FROM records") == [(1,)]
    assert "its columns are not what was written" in capsys.readouterr().out


def test_an_owner_brings_an_older_log_up_to_date_step_by_step(ready: str, server: Postgres, tmp_path: Path) -> None:
    """A step that fails leaves the version before it, and the next try goes on there."""
    steps = {7: ["CREATE TABLE one (a bigint)"], 8: ["CREATE TABLE two (a bigint)", "SELECT 1 / 0"]}
    with server.connect(ready.rpartition("/")[2]) as session:
        with pytest.raises(psycopg.errors.DivisionByZero):
            bring_up_to_date(session, steps, 9)
        assert read_version(session) == 8
        with pytest.raises(OperatorError, match="expected version 7, got 8"):
            Store.open(of(tmp_path / "lab", ready, "logger_user").data)
        assert bring_up_to_date(session, {**steps, 8: steps[8][:1]}, 9) == 1
        assert session.execute("SELECT count(*) FROM main.one, main.two").fetchone() == (0,)
        with pytest.raises(OperatorError, match="use the program that made it"):
            bring_up_to_date(session, {}, 7)


def test_a_reader_reads_and_cannot_write(ready: str, tmp_path: Path) -> None:
    with of(tmp_path / "lab", ready, "logger_user").store() as store:
        store.take([arrival(samples.reading(1), 1)])
    reader = of(tmp_path / "reader", ready, "reader_user")
    with closing(schema.open_for_reading(reader.data)) as connection:
        assert [found.device for found in load_status(connection)] == ["cage-1"]
    assert cli.main(["show", "--data", str(reader.data)]) == 0
    with pytest.raises(OperatorError, match="may add records"):
        Store.open(reader.data)


def test_printed_statements_are_those_that_are_run(
    ready: str, server: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert cli.main(["database", "init", "--database", ready, "--roles", "print"]) == 0
    printed = capsys.readouterr().out
    with server.connect(ready.rpartition("/")[2]) as session:
        session.execute(printed)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://lab:secret@localhost/lab", "without a password"),
        ("postgresql://lab@localhost/lab?password=secret", "without password="),
        ("postgresql://lab@db.example.org/lab", "sslmode=verify-full"),
        ("postgresql://lab@db.example.org/lab?sslmode=require", "sslmode=verify-full"),
        ("postgresql://lab@localhost,db.example.org/lab", "sslmode=verify-full"),
        ("postgresql:///lab?host=db.example.org", "sslmode=verify-full"),
        ("postgresql://lab@localhost", "without the database's name"),
        ("mysql://lab@localhost/lab", "begins with 'mysql'"),
        ("postgresql://lab@localhost/lab?fsync=off", "expected options among"),
        ("postgresql://lab@localhost/lab?sslmode=disable&sslmode=verify-full", "each option once"),
        ("postgresql://[::1/lab", "no URL"),
    ],
)
def test_a_url_that_gives_a_password_away_or_cannot_be_used_is_refused(tmp_path: Path, url: str, why: str) -> None:
    (tmp_path / "database.yaml").write_text(f"database: {url!r}\n")
    with pytest.raises(OperatorError, match=why) as raised:
        Store.open(tmp_path)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://lab@localhost/lab",
        "postgresql://lab@127.0.0.1:5433/lab?sslmode=disable",
        "postgresql:///lab?host=/run/postgresql",
        "postgresql://lab@[::1]/lab",
        "postgresql://lab@db.example.org/lab?sslmode=verify-full&sslrootcert=/etc/ssl/lab.pem",
    ],
)
def test_a_server_of_this_machine_and_one_whose_name_is_checked_are_taken(url: str) -> None:
    assert Address(database=url).shown == url


def test_a_password_comes_from_its_file_and_a_wrong_one_is_a_persons_to_mend(tmp_path: Path, server: Postgres) -> None:
    with server.connect() as session:
        session.execute("CREATE ROLE with_password LOGIN SUPERUSER PASSWORD 'right'")
    hba = server.folder / "data" / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text(f"host all with_password 127.0.0.1/32 scram-sha-256\n{before}")
        with server.connect() as session:
            session.execute("SELECT pg_reload_conf()")
        url = server.new_database().replace("//lab@", "//with_password@")
        secret = tmp_path / "secret"
        for word, opens in (("wrong", False), ("right", True)):
            secret.write_text(f"{word}\n")
            data = tmp_path / word
            address = Address(database=url, database_password_file=str(secret), database_durability="relaxed")
            keep_address(data, address)
            assert word not in (data / "database.yaml").read_text().replace(str(tmp_path), "")
            if opens:
                Store.open(data).close()
            else:
                with pytest.raises(OperatorError, match="authentication failed"):
                    Store.open(data)
    finally:
        hba.write_text(before)
        with server.connect() as session:
            session.execute("SELECT pg_reload_conf()")


def test_a_folder_with_two_logs_is_refused(tmp_path: Path, url: str) -> None:
    with Lab(tmp_path, None).store():
        pass
    (tmp_path / "database.yaml").write_text(f"database: {url}\n")
    with pytest.raises(OperatorError, match="expected one log"):
        Store.open(tmp_path)
