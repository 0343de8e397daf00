"""History, tags and going back, of sets in a folder and in an object store."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.cli import main
from negset.errors import ArtifactError, ConfigError, ConflictError
from negset.objects.folder import FolderObjects
from negset.publishing.moves import move_latest
from negset.publishing.publish import point_to
from negset.store import make_folder
from tasks.sets import local_set, read_line, roll_back, tag_version, untag_version

IDS = [digit * 16 for digit in "abc"]
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(params=["folder", "objects"])
def line(request, tmp_path, monkeypatch, home):
    """Give the path or address of a set with three versions, whose files nobody looks at."""
    monkeypatch.setattr("tasks.sets.verify_at", lambda where: SimpleNamespace(folder=Path(where)))
    for name in IDS:
        make_folder(tmp_path / "sets" / "tiny" / "versions" / name)
        (tmp_path / "sets" / "tiny" / "versions" / name / "manifest.json").write_text(name)
    if request.param == "folder":
        for name in IDS:
            point_to(tmp_path / "sets" / "tiny", name, name * 4, by="ada", at=AT)
        return str(tmp_path / "sets" / "tiny")
    objects = FolderObjects(tmp_path / "store")
    for name in IDS:
        objects.put_once(f"tiny/versions/{name}/manifest.json", name.encode())
        move_latest(objects, "tiny", name, name * 4, by="ada", at=AT)
    return f"{(tmp_path / 'store').as_uri()}/tiny"


def test_the_line_says_who_moved_it_where(line):
    found = read_line(line)
    assert [(step.n, step.id, step.parent, step.latest) for step in found.steps] == [
        (1, IDS[0], None, False),
        (2, IDS[1], IDS[0], False),
        (3, IDS[2], IDS[1], True),
    ]
    assert {step.by for step in found.steps} == {"ada"}


def test_going_back_twice_goes_back_two_versions(line):
    """Going to the parent of the last move would come back to where it began."""
    assert roll_back(line) == (IDS[2], IDS[1])
    assert roll_back(line) == (IDS[1], IDS[0])
    with pytest.raises(ConfigError, match="no version before"):
        roll_back(line)
    found = read_line(line)
    assert [step.id for step in found.steps] == [*IDS, IDS[1], IDS[0]]
    assert (found.latest, [step.n for step in found.steps if step.latest]) == (IDS[0], [5])


def test_going_back_by_tag_and_by_first_digits(line):
    tag_version(line, "aaaa", "paper")
    assert roll_back(line, "paper") == (IDS[2], IDS[0])
    assert roll_back(line, "bbbb") == (IDS[0], IDS[1])
    assert roll_back(line, "bbbb") == (IDS[1], IDS[1])
    assert len(read_line(line).steps) == 5
    with pytest.raises(ConfigError, match="no version or tag 'papre'"):
        roll_back(line, "papre")


def test_a_tag_is_moved_and_taken_away_only_where_it_is_asked_for(line):
    tag_version(line, IDS[0], "paper")
    tag_version(line, IDS[0], "paper")
    with pytest.raises(ConflictError, match="--move"):
        tag_version(line, "latest", "paper")
    assert read_line(line).tags == {"paper": IDS[0]}
    tag_version(line, "latest", "paper", move=True)
    assert [step.tags for step in read_line(line).steps] == [(), (), ("paper",)]
    with pytest.raises(ConfigError, match="nothing was changed"):
        untag_version(line, IDS[0], "paper")
    untag_version(line, IDS[2], "paper")
    assert read_line(line).tags == {}
    tag_version(line, IDS[1], "paper")  # a name that was taken away is free again
    assert read_line(line).tags == {"paper": IDS[1]}


@pytest.mark.parametrize("name", ["latest", "a" * 16, "../LATEST", "A", "", ".hidden", "a b"])
def test_what_could_be_taken_for_something_else_is_no_tag(line, name):
    with pytest.raises(ConfigError, match="can be no tag"):
        tag_version(line, "latest", name)


def test_a_set_and_a_tag_name_a_version_wherever_a_set_is_named(tmp_path, line):
    if "://" in line:
        pytest.skip("a copy is fetched and checked: test_shared_sets does it")
    tag_version(line, IDS[0], "paper")
    assert local_set(f"{line}@paper") == tmp_path / "sets" / "tiny" / "versions" / IDS[0]
    assert local_set(f"{line}@bbbb").name == IDS[1]
    (tmp_path / "tiny@paper").mkdir()
    assert local_set(str(tmp_path / "tiny@paper")) == tmp_path / "tiny@paper"


def test_the_commands(line, tmp_path, capsys):
    assert main(["tag", line, "bbbb", "gold"]) == 0
    assert main(["rollback", line]) == 0
    assert f"back from {IDS[2]} to {IDS[1]}" in capsys.readouterr().out
    assert main(["history", line, "--json", str(tmp_path / "line.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.count("gold") == 2
    assert json.loads((tmp_path / "line.json").read_text())["latest"] == IDS[1]
    assert main(["tag", line, "cccc", "gold"]) == 5
    assert main(["tag", line, "bbbb", "gold", "--delete"]) == 0
    assert main(["rollback", line, "zzzz"]) == 2


def test_a_version_whose_files_are_gone_is_not_gone_back_to(tmp_path, line):
    if "://" in line:
        pytest.skip("nothing removes versions of an object store")
    (tmp_path / "sets" / "tiny" / "versions" / IDS[1] / "manifest.json").unlink()
    assert [step.there for step in read_line(line).steps] == [True, False, True]
    with pytest.raises(ConfigError, match="are gone"):
        roll_back(line)
    with pytest.raises(ConfigError, match="no version or tag"):
        roll_back(line, IDS[1])


def test_a_damaged_version_is_not_gone_back_to(tmp_path, home):
    place = tmp_path / "sets" / "tiny"
    for name in IDS[:2]:
        make_folder(place / "versions" / name)
        (place / "versions" / name / "manifest.json").write_text("{}")
        point_to(place, name, name * 4, by="ada", at=AT)
    with pytest.raises(ArtifactError, match="no manifest"):
        roll_back(str(place))
    assert read_line(str(place)).latest == IDS[1]


def test_a_folder_that_is_no_set_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no folder of a set"):
        read_line(str(tmp_path))
