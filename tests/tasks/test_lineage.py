import json
import logging
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tasks import lineage
from tasks.place import Place

AT = datetime(2026, 1, 2, tzinfo=UTC)
EVENT = {"eventType": "COMPLETE"}


@pytest.fixture(autouse=True)
def event(monkeypatch):
    monkeypatch.setattr(lineage, "read_manifest", lambda folder: folder)
    monkeypatch.setattr(lineage, "publication_event", lambda *facts, **options: EVENT)


def test_events_are_lines_of_a_file(tmp_path):
    place = Place(lineage=str(tmp_path / "more" / "events.jsonl"))
    for _ in range(2):
        lineage.report_lineage(place, Path("version"), AT)
    assert [json.loads(line) for line in Path(place.lineage).read_text().splitlines()] == [EVENT, EVENT]


def test_events_are_posted_to_a_server():
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.handle_request, daemon=True).start()
        place = Place(lineage=f"http://127.0.0.1:{server.server_port}/api/v1/lineage")
        lineage.report_lineage(place, Path("version"), AT)
    assert got == [EVENT]


def test_a_server_that_is_away_is_a_warning_without_the_secret(caplog):
    place = Place(lineage="http://user:s3cret@127.0.0.1:1/?token=s3cret")
    with caplog.at_level(logging.WARNING, "negset.lineage"):
        lineage.report_lineage(place, Path("version"), AT)
    assert "not delivered to 127.0.0.1 (ConnectError); the version is published" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "negset.lineage"):
        lineage.report_lineage(Place(lineage=str(tmp_path / "file" / "events.jsonl")), Path("version"), AT)
    assert "was not written" in caplog.text


def test_nothing_is_told_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(lineage, "read_manifest", None)
    lineage.report_lineage(Place(), tmp_path, AT)
