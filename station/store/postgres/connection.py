"""A connection to a log on PostgreSQL that takes the statements which are written for both databases.

Rows of the tables that grow wait, and are written by COPY, all of a batch together: a round trip a row would cost more
than the row. What asks for them is answered from what waits, or has them written first. Nothing is acknowledged before
COMMIT has returned. An error of one row shows when all are written: the batch is then taken back and taken one message
at a time, each in a savepoint of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from station.store.batches import BatchAtFault, Key
from station.store.postgres.dialect import NUMBERS_LINES, Kind, Statement, translate
from station.store.postgres.errors import OF_A_VALUE, may_be_a_messages, translated
from station.store.postgres.locks import LOCK, LOGGER, WRITERS
from station.store.postgres.rows import NumberLoader, Result, named_rows
from station.store.postgres.tables import tables
from station.store.postgres.waiting_rows import LOOKED_UP, Group, WaitingRows

Parameters = Sequence[Any] | Mapping[str, Any]
_BINARY: Final = {"TEXT": "text", "INTEGER": "int8", "REAL": "float8", "BLOB": "bytea"}
_REGISTRY: Final = "SELECT value FROM main.meta WHERE key = 'registry'"
_IDENTITY: Final = "SELECT value FROM main.meta WHERE key = 'station_db'"
_SEEN: Final = "SELECT 1 FROM usage WHERE device = ? AND what = 'seen'"
"""Asked of every message; true for ever once it is."""


class Connection:
    """One session, made anew at the next BEGIN when it was lost. `connect` returns a session that is set up."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], *, reading: bool = False) -> None:
        """Connect. reading: rows have names, transactions see one moment and write nothing.

        Raises:
            sqlite3.OperationalError: there is no connection.
        """
        self._connect, self._reading = connect, reading
        self._rows = WaitingRows()
        self._in_message = self._has_savepoint = self._batch = False
        self._registry: Any = None
        self._seen: set[str] = set()
        self._renewed = False
        self._ended_well = True
        self.one_by_one = False
        self.row_factory = self.text_factory = None
        with self._errors():
            self._session = self._set_up()
            found = self._session.execute(_IDENTITY).fetchone()
        self._identity = None if found is None else found[0]
        self._logs = False
        self.may_delete = bool(self.execute("SELECT has_table_privilege('main.records', 'DELETE')").fetchone()[0])

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is under way, also one that failed."""
        status = self._session.info.transaction_status
        return status in (TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE)

    def execute(self, sql: str, parameters: Parameters = ()) -> Result:
        """Return what a statement returns, all of it.

        Raises:
            BatchAtFault: a message of the present batch is at fault, and which is not known.
            sqlite3.Error: the statement failed.
        """
        statement = translate(sql)
        if statement.kind is Kind.ROW and not self._batch:
            statement = Statement(Kind.WRITE, _insert_of(statement), sees_rows=True)
        with self._errors():
            return self._run(statement, sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Parameters]) -> Result:
        """Run a statement for each row, in one pipeline.

        Raises:
            sqlite3.Error: as `execute`.
        """
        statement, rows = translate(sql), list(rows)
        if statement.kind is Kind.ROW and self._batch:
            for row in rows:
                self._rows.add(statement, tuple(row))
            return Result()
        if not rows:
            return Result(rowcount=0)
        with self._errors():
            self._before_writing(statement)
            with self._session.cursor() as cursor:
                cursor.executemany(_insert_of(statement) if statement.kind is Kind.ROW else statement.sql, rows)
                return Result(rowcount=cursor.rowcount)

    def expect(self, keys: Iterable[Key]) -> None:
        """Read what stands under these keys, in one statement a table."""
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return
        columns = [list(column) for column in zip(*wanted, strict=True)]
        with self._errors():
            for table, looked_up in LOOKED_UP.items():
                shown = ", ".join(f"t.{name}" for name in ("device", "epoch", "seq", *looked_up))
                found = self._session.execute(
                    f"SELECT {shown} FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS k (device, epoch, seq) "
                    f"JOIN main.{table} t ON t.device = k.device AND t.epoch = k.epoch AND t.seq = k.seq",
                    columns,
                )
                self._rows.know(table, wanted, found.fetchall())

    def revive(self) -> None:
        """Make the session anew where it was lost; between batches only, whose rest would else be committed alone."""
        if self._session.closed:
            self._end()
            with self._errors():
                self._renew()

    def is_new(self) -> bool:
        """Return whether the session was made anew since the last call."""
        renewed, self._renewed = self._renewed, False
        return renewed

    def hold_log(self) -> bool:
        """Return whether this session is the one logger now, until it ends; another one takes its place by itself."""
        with self._errors():
            self._logs = self._try_lock()
        return self._logs

    def close(self) -> None:
        """End the session; another logger is let in at once, not when the server has noticed."""
        if self._logs and not self._session.closed:
            with suppress(psycopg.Error):
                if self.in_transaction:
                    self._session.execute("ROLLBACK")
                self._session.execute("SELECT pg_advisory_unlock_all()")
        self._session.close()

    def _try_lock(self) -> bool:
        found = self._session.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK, LOGGER)).fetchone()
        return bool(found and found[0])

    def _set_up(self) -> psycopg.Connection[Any]:
        session = self._connect()
        session.adapters.register_loader("numeric", NumberLoader)
        if self._reading:
            session.row_factory = named_rows
        return session

    def _run(self, statement: Statement, sql: str, parameters: Parameters) -> Result:
        kind = statement.kind
        if kind is Kind.ROW:
            self._rows.add(statement, tuple(parameters))
            return Result(rowcount=1)
        if kind is Kind.POINT:
            known, row = self._rows.find(statement, tuple(parameters))
            if known:
                return Result(() if row is None else (row,))
            return self._send(statement.sql, parameters)
        if sql == _SEEN and next(iter(parameters)) in self._seen:
            return Result(((1,),))
        if kind is Kind.READ:
            if statement.sees_rows:
                self._write_rows()
            found = self._send(statement.sql, parameters)
            if sql == _SEEN and self._batch and (row := found.fetchone()) is not None:
                self._seen.add(next(iter(parameters)))
                return Result((row,))
            return found
        if kind is Kind.WRITE:
            self._before_writing(statement)
            return self._send(statement.sql, parameters)
        if kind is Kind.VERSION:
            return Result(((self._registry,),)) if self.in_transaction else self._send(_REGISTRY, ())
        if kind is not Kind.NOTHING:
            self._control(kind)
        return Result()

    def _control(self, kind: Kind) -> None:
        if kind is Kind.BEGIN:
            self._begin()
        elif kind is Kind.COMMIT:
            self._write_rows()
            done = self._session.execute("COMMIT").statusmessage
            self._end()
            if done != "COMMIT":  # of a transaction that had failed it makes a ROLLBACK, and says so only here
                raise psycopg.OperationalError(f"the server answered COMMIT with {done}")
            self._ended_well = True
        elif kind is Kind.ROLLBACK:
            self._end()
            self._session.execute("ROLLBACK")
        elif kind is Kind.MESSAGE:
            self._batch = self._in_message = True
            self._has_savepoint = False
            self._rows.mark()
            if self.one_by_one:
                self._set_savepoint()
        elif kind is Kind.KEEP:
            self._keep_message()
        else:
            self._rows.drop_message()
            self._seen.clear()
            if self._has_savepoint:
                self._session.execute("ROLLBACK TO message")

    def _begin(self) -> None:
        if self._session.closed:
            self._renew()
        self._end()
        if not self._ended_well:  # what a batch that was not committed noted is not so
            self._seen.clear()
        self._ended_well = False
        if self._reading:
            self._session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            return
        self._session.execute("BEGIN")
        self._session.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, WRITERS))
        found = self._session.execute(_REGISTRY).fetchone()
        self._registry = None if found is None else found[0]

    def _renew(self) -> None:
        """Make another session; one that cannot log is ended, so that the next BEGIN tries again."""
        session = self._set_up()
        self._session, self._renewed = session, True
        found = session.execute(_IDENTITY).fetchone()
        wrong = ""
        if found is None or found[0] != self._identity:
            wrong = "another database answers at this address: start the station again"
        elif self._logs and not self._try_lock():
            wrong = "another station logs into this database, or an earlier session of this one has not ended yet"
        if wrong:
            session.close()
            raise psycopg.OperationalError(wrong)

    def _end(self) -> None:
        self._rows.clear()
        self._in_message = self._has_savepoint = self._batch = False

    def _keep_message(self) -> None:
        if not self._in_message:
            return
        if self.one_by_one:
            self._write_rows()
        if self._has_savepoint:
            self._session.execute("RELEASE message")
        self._in_message = self._has_savepoint = False

    def _set_savepoint(self) -> None:
        """Make what the present message does on the server one that can be taken back; earlier rows come before."""
        if self._in_message and not self._has_savepoint:
            self._copy_all(self._rows.take(earlier_only=True))
            self._session.execute("SAVEPOINT message")
            self._has_savepoint = True

    def _before_writing(self, statement: Statement) -> None:
        self._set_savepoint()
        if statement.sees_rows:
            self._write_rows()
            for table in LOOKED_UP:
                if table in statement.sql:
                    self._rows.forget(table)

    def _write_rows(self) -> None:
        """Have the server hold every row that waits."""
        if self._rows:
            self._set_savepoint()
            self._copy_all(self._rows.take())

    def _copy_all(self, groups: Sequence[tuple[Group, Sequence[tuple[Any, ...]]]]) -> None:
        with self._session.cursor() as cursor:
            for (table, columns), rows in groups:
                kinds = [_BINARY[tables()[table].columns[name]] for name in columns]
                with cursor.copy(f"COPY main.{table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(kinds)
                    for row in rows:
                        copy.write_row(row)

    def _send(self, sql: str, parameters: Parameters) -> Result:
        cursor = self._session.execute(sql, parameters)
        found = Result(cursor.fetchall() if cursor.description is not None else (), cursor.rowcount)
        if sql.startswith(f"INSERT INTO {NUMBERS_LINES}"):
            found.lastrowid = int(found.fetchall()[0][0])
        return found

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise what went wrong in the words of SQLite's module."""
        try:
            yield
        except (psycopg.Error, *OF_A_VALUE) as error:
            if self._batch and not self.one_by_one and may_be_a_messages(error):
                raise BatchAtFault(f"one of the messages is at fault: {error}") from error
            if isinstance(error, psycopg.Error):
                raise translated(error) from error
            raise


def _insert_of(statement: Statement) -> str:
    """Return a row's statement as it is sent outside of a batch."""
    marks = ", ".join(["%s"] * len(statement.columns))
    ignore = " ON CONFLICT DO NOTHING" if "OR IGNORE" in statement.sql else ""
    return f"INSERT INTO {statement.table} ({', '.join(statement.columns)}) VALUES ({marks}){ignore}"
