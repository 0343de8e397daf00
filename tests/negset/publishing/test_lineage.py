from negset.publishing.lineage import lineage
from negset.publishing.manifest import read_manifest
from schemas.manifest import RoundIdentity


def test_everything_that_went_in_is_named_in_order(published):
    manifest = read_manifest(published)
    drawn = lineage(manifest)
    names = ["source", "encoder", "miners", "recipe", "built by"]
    places = [drawn.index(f"<b>{name}</b>") for name in names]
    assert places == sorted(places)
    for part in ("c" * 64, "e" * 64, "f" * 64, "cc-by-4.0", "k=2", "seed 13", *(one.sha256 for one in manifest.files)):
        assert part in drawn
    assert "<b>teachers</b>" not in drawn


def test_a_round_names_the_one_before(published):
    made = RoundIdentity(loop="1" * 64, strategy="ance", round=2, checkpoint="2" * 64, parent="0123456789abcdef")
    manifest = read_manifest(published).model_copy(update={"round": made, "teachers": {"guide": {"scores": "3" * 64}}})
    drawn = lineage(manifest)
    assert "2 of ance" in drawn
    assert "after 0123456789abcdef" in drawn
    assert "3" * 64 in drawn
