"""Single values of a source as what the canonical tables want: ids, texts, times, relevance, metadata."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

from negset.sources.quarantine import BadRow

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,10}")
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_INT32: Final = 2**31


def id_of(value: object, column: str) -> str:
    """Give an id byte for byte; whole numbers become their digits. Refuse what has no one spelling."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadRow(
        column=column, reason="no id" if value is None or value == "" else f"id is a {_kind(value)}, not a string"
    )


def text_of(value: object, column: str) -> str:
    """Give a text; null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise BadRow(column=column, reason=f"text is a {_kind(value)}, not a string")


def optional_text_of(value: object, column: str) -> str | None:
    """Give a text, or None where there is none or it is empty."""
    return text_of(value, column) or None


def relevance_of(value: object, column: str) -> int:
    """Give a relevance: a whole number, however it is stored. `1.5`, `high` and NaN are refused."""
    number: int | None = None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        number = int(value)
    elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        number = int(value)
    if number is None:
        raise BadRow(column=column, reason=f"relevance {value!r} is no whole number"[:200])
    if not -_INT32 <= number < _INT32:
        raise BadRow(column=column, reason=f"relevance {number} does not fit 32 bits")
    return number


def time_of(value: object, column: str) -> datetime | None:
    """Give a time in UTC from a date, a time or an ISO string; what has no zone is taken as UTC."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise BadRow(column=column, reason=f"{value!r} is no ISO date or time"[:200]) from None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise BadRow(column=column, reason=f"a {_kind(value)} is no date or time")


def metadata_of(values: Mapping[str, object]) -> str | None:
    """Write the other columns of a row as canonical JSON: sorted keys, nulls left out; None where none is left."""
    kept = {name: value for name, value in values.items() if value is not None}
    if not kept:
        return None
    try:
        return _METADATA.encode(kept)
    except ValueError:
        return _METADATA.encode(_finite(kept))


def parse_object(text: str) -> dict[str, object]:
    """Read one JSON object strictly: no NaN, no lone surrogate, no repeated key. Raise BadRow otherwise."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadRow(reason=f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:
        raise BadRow(reason=f"not JSON: {error}"[:200]) from None
    if not isinstance(value, dict):
        raise BadRow(reason=f"not a JSON object but a {_kind(value)}")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise BadRow(reason=f"lone surrogate U+{ord(error.object[error.start]):04X}") from None
    return value


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else type(value).__name__


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _finite(value: object) -> object:
    """Replace what JSON cannot say (NaN and the infinities) by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_finite(each) for each in value]
    return value


def _refused(name: str) -> object:
    message = f"{name} is no JSON number"
    raise ValueError(message)


def _number(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else float(str(_refused(digits)))


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a key stands twice in one object"
        raise ValueError(message)
    return found


_METADATA: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
)
_DECODER: Final = json.JSONDecoder(parse_constant=_refused, parse_float=_number, object_pairs_hook=_unique)
