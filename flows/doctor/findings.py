"""What a check found."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from negset.errors import NegsetError

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, the verdict, what was found, and how to mend it."""

    name: str
    verdict: Verdict
    found: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        """Give the four fields."""
        return asdict(self)


Check = Callable[[], Iterable[Finding]]


def ok(name: str, found: str) -> Finding:
    """Say that `name` is as it should be."""
    return Finding(name, "ok", found)


def warn(name: str, found: str, mend: str) -> Finding:
    """Say that `name` works but will make trouble."""
    return Finding(name, "warn", found, mend)


def fail(name: str, found: str, mend: str) -> Finding:
    """Say that something will not work until `mend` is done."""
    return Finding(name, "fail", found, mend)


def examine(checks: Iterable[tuple[str, Check]]) -> list[Finding]:
    """Run the `checks`, each under its name; one that ends in an error is a failed one."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check()
        except NegsetError as error:
            findings.append(fail(name, str(error), "see the message"))
        except Exception as error:  # a defect of one check must not hide what the others say
            findings.append(fail(name, f"could not be checked: {type(error).__name__}: {error}", "report this defect"))
    return findings


def worst(findings: Iterable[Finding]) -> Verdict:
    """Give the worst verdict of `findings`."""
    found = {one.verdict for one in findings}
    return "fail" if "fail" in found else "warn" if "warn" in found else "ok"
