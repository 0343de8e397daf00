"""What the report of a training run looks at and what it refuses, as options: the section `[report]` of a training."""

from pydantic import Field

from schemas.section import Section


class RunReportConfig(Section):
    """How a run is reported. Nothing here changes the model, so a finished run is reported anew without training."""

    domain_field: str = ""
    """Metadata field of the queries that names their domain; empty for none, and then no domain is checked."""
    max_domain_drop: float = Field(0.01, ge=0, le=1)
    """By how much nDCG@10 of a domain may fall below the base model's."""
    max_small_domain_drop: float = Field(0.02, ge=0, le=1)
    """The same for a domain of fewer than `small_domain` held-out queries."""
    small_domain: int = Field(200, ge=1)
    waived_domains: tuple[str, ...] = ()
    """Domains that may fall by any amount; they are still listed."""
    length_bins: int = Field(4, ge=2)
    """Groups of equal size by length of the query, and by that of its positives."""
