"""provenance.intoto.json: which files came from what, by digest, as an in-toto statement with a SLSA predicate.

It is unsigned: it says what happened, and whoever needs proof signs it. It holds the time and the user of the
build, so it is a paper beside the manifest and no part of the version id.
"""

import hashlib
from datetime import datetime

from negset.publishing.manifest import manifest_bytes
from negset.store import MANIFEST
from schemas.manifest import SetManifest

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:negset:build:1"


def provenance_document(manifest: SetManifest, identity: str, *, by: str, at: datetime) -> dict[str, object]:
    """Give the statement on the version `identity` of `manifest`, built `by` somebody `at` a time."""
    finished = at.isoformat(timespec="seconds")
    return {
        "_type": STATEMENT,
        "subject": [
            *({"name": file.path, "digest": {"sha256": file.sha256}} for file in manifest.files),
            # Its digest is the version id, so the statement vouches for all that the manifest says.
            {"name": MANIFEST, "digest": {"sha256": hashlib.sha256(manifest_bytes(manifest)).hexdigest()}},
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"dataset": manifest.dataset, "config": manifest.config},
                "internalParameters": {"rooms": manifest.builder.rooms, "rules": manifest.builder.rules},
                "resolvedDependencies": _dependencies(manifest),
            },
            "runDetails": {
                "builder": {"id": f"urn:negset:user:{by}", "version": {"negset": manifest.builder.version}},
                "metadata": {"invocationId": identity, "finishedOn": finished},
            },
        },
    }


def _dependencies(manifest: SetManifest) -> list[dict[str, object]]:
    """Name what the set was made from: the rows of the source, the encoder, the recipe."""
    named = [("source", manifest.source.content), ("recipe", manifest.recipe.fingerprint)]
    if manifest.encoder is not None:
        named.append(("encoder", manifest.encoder.fingerprint))
    named += [(f"teacher/{name}", str(facts["scores"])) for name, facts in manifest.teachers.items()]
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in named]
