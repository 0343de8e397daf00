"""Put a chosen recipe into a build file, line by line, so that comments and layout stay."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from negset.errors import ConfigError
from negset.mining.recipe import Option
from schemas.config import BuildConfig

_HEADER = re.compile(r"^\s*\[\s*([A-Za-z0-9_.\- ]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(r"^(\s*)([A-Za-z0-9_-]+)(\s*=\s*)")


def chosen_lines(config: BuildConfig) -> str:
    """Give the lines of a build file that ask for the recipe and the miners of `config`."""
    lines = [
        "[mine]",
        f"miners = {_toml(list(config.mine.miners))}",
        "",
        "[recipe]",
        f"name = {_toml(config.recipe.name)}",
    ]
    for rule, options in config.recipe.options.items():
        lines += ["", f"[recipe.options.{rule}]", *(f"{key} = {_toml(value)}" for key, value in options.items())]
    return "\n".join(lines)


def edit_config(text: str, config: BuildConfig) -> str:
    """Give the build file `text` with the recipe's name and options and the miners of `config`; all else stays.

    The result is read again and must say exactly that. Raises ConfigError with the lines to put in by hand where the
    file is laid out in a way that lines alone cannot change (inline tables, dotted keys, values over several lines).
    """
    before = tomllib.loads(text)
    lines = text.splitlines()
    options = config.recipe.options
    if before.get("mine", {}).get("miners", ["dense"]) != list(config.mine.miners):
        lines = _set_key(lines, "mine", "miners", list(config.mine.miners))
    lines = _set_key(lines, "recipe", "name", config.recipe.name)
    lines = _drop_options(lines, options)
    for rule, values in options.items():
        for key, value in values.items():
            lines = _set_key(lines, f"recipe.options.{rule}", key, value)
    edited = "\n".join(lines) + "\n"
    if not _says(edited, before, config):
        message = f"cannot edit this layout line by line; put in yourself:\n{chosen_lines(config)}"
        raise ConfigError(message)
    return edited


def _says(edited: str, before: Mapping[str, object], config: BuildConfig) -> bool:
    """Tell whether `edited` is `before` but for what it should change."""
    try:
        after = tomllib.loads(edited)
    except tomllib.TOMLDecodeError:
        return False
    recipe = {**_table(before, "recipe"), "name": config.recipe.name, "options": config.recipe.options}
    mine = {**_table(before, "mine"), "miners": list(config.mine.miners)}
    found = {
        **after,
        "recipe": {"options": {}, **_table(after, "recipe")},
        "mine": {"miners": ["dense"], **_table(after, "mine")},
    }
    return found == {**before, "recipe": recipe, "mine": mine}


def _table(values: Mapping[str, object], name: str) -> dict[str, object]:
    found = values.get(name, {})
    return dict(found) if isinstance(found, dict) else {}


def _sections(lines: Sequence[str]) -> list[str]:
    """Name the table that each line stands in."""
    names, current = [], ""
    for line in lines:
        header = _HEADER.match(line)
        current = header.group(1).replace(" ", "") if header else current
        names.append(current)
    return names


def _set_key(lines: Sequence[str], section: str, key: str, value: object) -> list[str]:
    """Set `key` of `section`, in its line where it has one; a missing section is added behind its nearest relative."""
    names, found = _sections(lines), list(lines)
    for place, line in enumerate(lines):
        match = _KEY.match(line)
        if names[place] == section and match and match.group(2) == key:
            found[place] = f"{line[: match.end()]}{_toml(value)}{_comment(line)}"
            return found
    if section in names:
        return [*found[: names.index(section) + 1], f"{key} = {_toml(value)}", *found[names.index(section) + 1 :]]
    family = [place for place, name in enumerate(names) if name.split(".")[0] == section.split(".")[0]]
    end = family[-1] + 1 if family else len(found)
    while end and not found[end - 1].strip():
        end -= 1
    return [*found[:end], "", f"[{section}]", f"{key} = {_toml(value)}", *found[end:]]


def _comment(line: str) -> str:
    """Give the comment at the end of a line whose value is on it, with the space before it."""
    # A quoted value may hold a hash: what is in quotes is skipped.
    match = re.search(r"""^(?:[^#"']|"(?:\\.|[^"\\])*"|'[^']*')*?(\s*#.*)$""", line)
    return match.group(1) if match else ""


def _drop_options(lines: Sequence[str], kept: Mapping[str, Mapping[str, Option]]) -> list[str]:
    """Take out the options that are not `kept`, and the headers of their tables; comments of their own lines stay."""
    found = []
    for name, line in zip(_sections(lines), lines, strict=True):
        if name.startswith("recipe.options"):
            rule = name.removeprefix("recipe.options").strip(".")
            match = _KEY.match(line)
            if (_HEADER.match(line) and rule not in kept) or (match and match.group(2) not in kept.get(rule, {})):
                continue
        found.append(line)
    return found


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def written_recipe(config: BuildConfig, file: Path) -> BuildConfig:
    """Give `config` with the path of a recipe file as it reads from the folder of the build `file`."""
    name = config.recipe.name
    if not name.endswith(".toml"):
        return config
    path, folder = Path(name).resolve(), file.resolve().parent
    relative = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()
    return config.model_copy(update={"recipe": config.recipe.model_copy(update={"name": relative})})
