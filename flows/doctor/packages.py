"""Versions: of Python and of every package that negset asks for."""

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flows.doctor.findings import Finding, fail, ok

TRAPS: Final = {
    "fastapi": "Prefect's server does not start with a newer one: no flow runs",
    "sqlalchemy": "Prefect's scheduler makes no run at all with 2.1, and says nothing",
}
"""Bounds that nothing but trouble shows, and what that looks like."""


def check_python() -> Iterator[Finding]:
    """Compare the running Python with what negset asks for."""
    wanted, found = SpecifierSet(metadata("negset")["Requires-Python"]), platform.python_version()
    if wanted.contains(found, prereleases=True):
        yield ok("python", found)
    else:
        yield fail("python", f"{found}, but negset needs {wanted}", "make the environment with another Python")


def check_packages(find: Callable[[str], str] = version) -> Iterator[Finding]:
    """Compare what is installed with what negset asks for; `find` gives the version of a package."""
    wanted = [Requirement(text) for text in requires("negset") or []]
    needed = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [finding for one in needed for finding in _compare(one, find)]
    yield from wrong
    named = _versions(("prefect", "fastapi", "sqlalchemy", "polars", "torch"), find)
    if not wrong:
        yield ok("packages", f"all {len(needed)} within their bounds; {named}")


def _compare(wanted: Requirement, find: Callable[[str], str]) -> Iterator[Finding]:
    name = f"package {wanted.name}"
    mend = f"pip install '{wanted.name}{wanted.specifier}', or pip install -c constraints.txt negset"
    try:
        found = find(wanted.name)
    except PackageNotFoundError:
        yield fail(name, "not installed", mend)
        return
    if not wanted.specifier.contains(found, prereleases=True):
        reason = TRAPS.get(wanted.name.lower())
        yield fail(name, f"{found} is not {wanted.specifier}{f': {reason}' if reason else ''}", mend)


def _versions(names: tuple[str, ...], find: Callable[[str], str]) -> str:
    found: Mapping[str, str] = {name: find(name) for name in names}
    return ", ".join(f"{name} {number}" for name, number in found.items())
