"""What a version was made from, as the page tells it: from the source to the files."""

from negset.publishing.html import Html, joined, tag, text
from negset.publishing.tables import table
from schemas.manifest import Plain, RoundIdentity, SetManifest


def lineage(manifest: SetManifest) -> Html:
    """Give what went into the set of `manifest` in the order in which it was used, its rules and its files."""
    return joined(
        tag(
            "ol",
            *(tag("li", tag("b", text(name)), tag("pre", text(value))) for name, value in _steps(manifest)),
            class_="lineage",
        ),
        tag("h3", text("Rules of the recipe")),
        table(
            "Rules of the recipe",
            ("rule", "version", "options"),
            [[step.rule, str(step.version), _options(step.options)] for step in manifest.recipe.rules],
            words=3,
        ),
        tag("h3", text("Files")),
        table(
            "Files",
            ("file", "sha256", "rows", "bytes"),
            [[one.path, one.sha256, f"{one.rows:,}", f"{one.bytes:,}"] for one in manifest.files],
            words=2,
        ),
    )


def _steps(manifest: SetManifest) -> list[tuple[str, str]]:
    source, encoder, recipe = manifest.source, manifest.encoder, manifest.recipe
    counts = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in source.counts.items() if count)
    lost = "".join(f"\nnot usable, {why}: {count:,}" for why, count in source.quarantined.items())
    builder = manifest.builder
    rooms = _options(dict(builder.rooms))
    return [
        (
            "source",
            f"{source.format}, content {source.content}\n{counts}{lost}\nlicence {manifest.licence or 'not given'}",
        ),
        (
            "encoder",
            f"{encoder.backend}, fingerprint {encoder.fingerprint}\n{_options(encoder.facts)}" if encoder else "none",
        ),
        ("miners", _each(manifest.miners)),
        *([("teachers", _each(manifest.teachers))] if manifest.teachers else []),
        ("recipe", f"{recipe.name}, by {recipe.by or 'rank'}, seed {recipe.seed}, fingerprint {recipe.fingerprint}"),
        *([("round", _round(manifest.round))] if manifest.round else []),
        ("built by", f"{builder.package} {builder.version}" + (f"\nrooms  {rooms}" if rooms else "")),
    ]


def _round(made: RoundIdentity) -> str:
    by = f"the model of the round before, {made.checkpoint[:16]}" if made.checkpoint else "the configured encoder"
    return f"{made.round} of {made.strategy}, loop {made.loop[:16]}\nmined by {by}\nafter {made.parent or 'none'}"


def _each(named: dict[str, dict[str, Plain]]) -> str:
    return "\n".join(f"{name}  {_options(options)}" for name, options in named.items())


def _options(options: dict[str, Plain]) -> str:
    return "  ".join(f"{key}={value}" for key, value in options.items())
