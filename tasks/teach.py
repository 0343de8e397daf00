"""Let a teacher score what was mined."""

import os

from negset import building
from schemas.config import BuildConfig
from schemas.refs import LedgerRefs, ScoresRef
from tasks.place import Place
from tasks.policies import room
from tasks.progress import shown_progress


@room("teach")
def teach(config: BuildConfig, refs: LedgerRefs, teacher: str, *, fingerprint: str) -> ScoresRef:
    """Score the candidates by `teacher`; pairs of texts that it scored before are not scored again."""
    with shown_progress("teach") as progress:
        return building.teach(config, refs, teacher, Place().open_store(), progress, os.environ)
