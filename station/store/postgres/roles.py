"""Who may do what in a log on PostgreSQL: the owner makes and migrates it, the logger adds, readers read."""

from __future__ import annotations

from typing import Any, Final

import psycopg
from psycopg import sql

from station.store.postgres.tables import PARTITIONS, tables

LOGGER: Final = "cageclock_logger"
READER: Final = "cageclock_reader"
RETENTION: Final = "cageclock_retention"
ROLES: Final = (LOGGER, READER, RETENTION)
"""Groups, which log in nowhere: a user is made a member of one (`GRANT cageclock_logger TO station`)."""
_NEVER_DELETED: Final = ("records",)


def role_statements() -> list[str]:
    """Return the statements that make the roles and give them their rights, the same however often they are run."""
    found = [
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$" for role in ROLES
    ]
    everyone = ", ".join(ROLES)
    found += ["REVOKE ALL ON SCHEMA main, readable FROM PUBLIC", f"GRANT USAGE ON SCHEMA main, readable TO {everyone}"]
    found.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA main, readable TO {everyone}")
    found.append(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA main TO {everyone}")  # what pg_dump reads of them
    for name in tables():
        rights = "INSERT" if name in _NEVER_DELETED else "INSERT, UPDATE, DELETE"
        found.append(f"GRANT {rights} ON main.{name} TO {LOGGER}")
    # A body that is no longer kept is emptied; its row stays, so that nothing is counted twice.
    parts = ", ".join(f"main.records_{part}" for part in range(PARTITIONS))
    found.append(f"REVOKE UPDATE, DELETE, TRUNCATE ON main.records, {parts} FROM {LOGGER}, {READER}")
    found.append(f"GRANT {LOGGER} TO {RETENTION}")
    found.append(f"GRANT UPDATE (body) ON main.records TO {RETENTION}")
    return found


def grant_roles(session: psycopg.Connection[Any]) -> None:
    """Run `role_statements` in one transaction.

    Raises:
        psycopg.Error: the user may not make roles, or does not own the log.
    """
    with session.transaction():
        for statement in role_statements():
            session.execute(sql.SQL(statement))
