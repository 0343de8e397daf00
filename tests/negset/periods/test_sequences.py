"""Whatever comes in whatever order: states say what is true, and what is built is what a build from nothing gives."""

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MONTHS = ("2024-01", "2024-02", "2024-03")
MONTH = st.sampled_from(MONTHS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("query"), MONTH),
        st.tuples(st.just("document"), MONTH),
        st.tuples(st.just("backfill"), st.sampled_from(("", "missing", "failed", "stale"))),
        st.tuples(st.just("break"), MONTH),
        st.tuples(st.just("mend"), MONTH),
    ),
    min_size=3,
    max_size=7,
)
NAMES = itertools.count()


class Model:
    """What should be: the rows that each partition was last built from, and how its last attempt ended."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.built = {}
        self.failed = {}
        self.empty = {}

    def rows(self, month):
        documents = {name for name, created in self.dataset.documents.items() if created <= month}
        queries = {name: query for name, query in self.dataset.queries.items() if query[0] == month}
        return (frozenset(documents), frozenset(queries.items()))

    def everything(self):
        return (len(self.dataset.documents), len(self.dataset.queries))

    def state(self, month):
        now = self.rows(month)
        if month in self.built:
            if self.built[month] == now:
                return "published"
            # Another attempt on the same files could only fail again; other files are worth one.
            return "failed" if self.failed.get(month) == self.everything() else "late data"
        if month in self.failed:
            return "failed"
        if self.empty.get(month) == self.everything():
            return "no data"
        return "missing"

    def backfill(self, only):
        wanted = {
            "": ("missing", "failed", "late data"),
            "missing": ("missing",),
            "failed": ("failed",),
            "stale": ("late data",),
        }[only]
        for month in [month for month in MONTHS if self.state(month) in wanted]:
            self.failed.pop(month, None)
            self.empty.pop(month, None)
            if month in self.dataset.broken:
                self.failed[month] = self.everything()
            elif self.rows(month)[1]:
                self.built[month] = self.rows(month)
            else:
                self.empty[month] = self.everything()


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_states_follow_the_data_and_history_leaves_no_trace(new_dataset, steps):
    name = f"run{next(NAMES)}"
    dataset = new_dataset(name)
    for _ in range(6):
        dataset.add_document("2024-01")
    dataset.add_query("2024-01", "d000")
    dataset.write()
    model = Model(dataset)
    for what, value in steps:
        if what == "query":
            dataset.add_query(value, "d001")
        elif what == "document":
            dataset.add_document(value)
        elif what == "break":
            dataset.broken.add(value)
        elif what == "mend":
            dataset.broken.discard(value)
        else:
            dataset.backfill(value)
            model.backfill(value)
        dataset.write()
        assert dataset.states() == {month: model.state(month) for month in MONTHS}
        assert dataset.status().fresh == (model.state("2024-03") == "published")
    dataset.broken.clear()
    dataset.backfill()
    model.backfill("")
    assert "late data" not in dataset.states().values()
    fresh = new_dataset(f"{name}-fresh")
    fresh.documents, fresh.queries = dataset.documents, dataset.queries
    fresh.write()
    fresh.backfill()
    assert fresh.latest() == dataset.latest()
