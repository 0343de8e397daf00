"""The publishing room: what it adds to the pure publisher."""

import os

from tasks import publish


def test_a_user_without_a_name_publishes_under_the_number(monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(publish.getpass, "getuser", nameless)
    assert publish._publisher() == f"uid {os.getuid()}"
