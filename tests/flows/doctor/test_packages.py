"""What the doctor says of versions."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from flows.doctor.packages import check_packages, check_python


def test_what_is_installed_here_is_well():
    (only,) = check_packages()
    assert (only.verdict, f"prefect {version('prefect')}" in only.found) == ("ok", True)
    assert [one.verdict for one in check_python()] == ["ok"]


@pytest.mark.parametrize(
    ("name", "number", "reason"),
    [("fastapi", "0.165.0", "no flow runs"), ("sqlalchemy", "2.1.9", "makes no run at all"), ("polars", "1.9.0", "")],
)
def test_a_version_outside_of_its_bounds_is_a_failure(name, number, reason):
    wrong = list(check_packages(lambda asked: number if asked == name else version(asked)))
    (one,) = wrong
    assert (one.name, one.verdict) == (f"package {name}", "fail")
    assert number in one.found
    assert reason in one.found
    assert f"pip install '{name}" in one.mend


def test_what_is_missing_is_a_failure():
    def find(name):
        if name == "faiss-cpu":
            raise PackageNotFoundError(name)
        return version(name)

    assert [(one.name, one.found) for one in check_packages(find)] == [("package faiss-cpu", "not installed")]
