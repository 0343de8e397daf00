"""Errors, by who can mend them.

    NegsetError                     exit 1   a defect of ours
      ConfigError                   exit 2   the request or its input is wrong
        UnknownRuleError
        IncompatibleRuleError
        InputError                           a source file is wrong; names file, line and column
          NoDataError                        nothing is wrong, but nothing is there
      ContractError                 exit 3   a table breaks its promise
        MissingColumnsError
        ValidationFailed                     a gate said no; nothing was published
      EnvironmentFault              exit 4   disk, memory, a damaged or missing artifact
        ArtifactError
          MissingObjectError                 an object store holds nothing under this key
        AccessError                          an object store refuses: credentials, rights, no such bucket
        TransientError                       the outside failed; the only one that is retried
      ConflictError                 exit 5   somebody else holds what is needed

A message says what, which value, where, and what to do.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, Self


class NegsetError(Exception):
    """Any failure that negset raises on purpose."""

    exit_code: ClassVar[int] = 1


class ConfigError(NegsetError):
    """The request is wrong: the TOML, an option, or the input it names."""

    exit_code: ClassVar[int] = 2


class UnknownRuleError(ConfigError):
    """A recipe names a rule that does not exist."""

    @classmethod
    def from_name(cls, name: str, known: Iterable[str]) -> Self:
        """Say which rule is unknown, what is close to it, and what exists."""
        names = sorted(known)
        return cls(f"unknown rule {name!r}{hint(name, names)}; known rules: {', '.join(names)}")


class IncompatibleRuleError(ConfigError):
    """A rule needs a column that nothing before it provides."""


class InputError(ConfigError):
    """A source cannot be read as what it is said to be."""


class NoDataError(InputError):
    """A source, or the partition of it that was asked for, is not there or holds nothing."""


class ContractError(NegsetError):
    """A table breaks its schema or one of its invariants."""

    exit_code: ClassVar[int] = 3


class MissingColumnsError(ContractError):
    """A table lacks columns that its reader needs."""

    @classmethod
    def from_columns(cls, table: str, needed: Sequence[str], found: Sequence[str]) -> Self:
        """Name the `table`, the columns it lacks and those it has."""
        missing = [name for name in needed if name not in found]
        return cls(f"table {table!r} lacks {', '.join(missing)}; it has {', '.join(found)}")


class ValidationFailed(ContractError):  # noqa: N818 - the gate's verdict, not a malfunction
    """A set did not pass its gates; nothing was published."""


class EnvironmentFault(NegsetError):  # noqa: N818 - "fault" says whose it is
    """Something around negset failed: disk, memory, a damaged or missing file."""

    exit_code: ClassVar[int] = 4


class ArtifactError(EnvironmentFault):
    """Stored data is missing, half-written, or differs from its manifest."""


class MissingObjectError(ArtifactError):
    """An object store holds nothing under a key."""


class AccessError(EnvironmentFault):
    """An object store answers but refuses: credentials, rights, or a bucket that is not there."""


class TransientError(EnvironmentFault):
    """The outside failed in a way that may pass; the only error that is retried."""


class ConflictError(NegsetError):
    """Somebody else holds or changed what this run needs."""

    exit_code: ClassVar[int] = 5


def hint(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is close to `name`, as the tail of a sentence, or nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def listed(ids: Sequence[str], most: int = 20) -> str:
    """Join the first `most` of `ids` for a message and count the rest."""
    shown = ", ".join(ids[:most])
    return shown if len(ids) <= most else f"{shown} and {len(ids) - most} more"
