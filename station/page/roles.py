"""Who may do what. Each role may do all that those before it may."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """A person's role in the lab; `NOBODY` is who has not signed in."""

    NOBODY = 0
    GUEST = 1
    TECHNICIAN = 2
    RESEARCHER = 3
    LEAD = 4
    ADMIN = 5

    @property
    def word(self) -> str:
        """The role as it is stored and shown."""
        return self.name.lower()


GIVEN = tuple(role for role in Role if role is not Role.NOBODY)
"""The roles that a person can have."""


def role_of(word: str) -> Role:
    """Return the role of a stored word.

    Raises:
        ValueError: there is no such role.
    """
    for role in GIVEN:
        if role.word == word:
            return role
    raise ValueError(f"expected one of {', '.join(role.word for role in GIVEN)}, got {word!r}")


def may_give(role: Role) -> tuple[Role, ...]:
    """Return the roles that somebody of this role may invite to: a lead all below, an admin all."""
    if role is Role.ADMIN:
        return GIVEN
    return tuple(other for other in GIVEN if other < role) if role >= Role.LEAD else ()
