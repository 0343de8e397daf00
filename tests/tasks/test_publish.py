"""The publishing room: what it adds to the pure publisher."""

import os

from tasks import sets


def test_a_user_without_a_name_publishes_under_the_number(monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(sets.getpass, "getuser", nameless)
    assert sets.user_name() == f"uid {os.getuid()}"
