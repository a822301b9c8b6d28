"""Tests of `trialrun.run_dir.spool`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trialrun import events
from trialrun.run_dir.spool import SpoolReader, SpoolWriter, Tail
from trialrun_hookspecs.errors import BadValue, SpoolFull

LONG = 20.0
LINES = st.lists(st.text(st.characters(exclude_characters="\n"), min_size=1))


@given(LINES)
@example(["a\u2028b\u0085c\rd\x0b"])
@example(["\ud800"])
def test_what_is_written_is_read_line_by_line(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, SpoolWriter(Path(folder) / "a.jsonl") as writer:
        reader = SpoolReader(Path(folder) / "a.jsonl")
        for line in lines:
            writer.write(line)
            assert reader.read_lines() == [line]
        assert reader.read_lines() == []


@given(LINES, st.lists(st.integers(1, 7)))
def test_lines_are_whole_however_the_bytes_come(lines: list[str], pieces: list[int]) -> None:
    content = "".join(line + "\n" for line in lines).encode(errors="surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        reader = SpoolReader(path)
        seen, at = reader.read_lines(), 0
        for size in [*pieces, len(content)]:
            with path.open("ab") as file:
                file.write(content[at : at + size])
            at += size
            seen += reader.read_lines()
        assert seen == lines


@given(LINES, st.integers(0, 50))
def test_a_reader_goes_on_from_an_offset(lines: list[str], first: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        reader = SpoolReader(path)
        with SpoolWriter(path) as writer:
            for line in lines[:first]:
                writer.write(line)
            assert reader.read_lines() == lines[:first]
            for line in lines[first:]:
                writer.write(line)
        assert SpoolReader(path, reader.offset).read_lines() == lines[first:]


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "late.jsonl")
    assert reader.read_lines() == []
    (tmp_path / "late.jsonl").write_text("1\n")
    assert reader.read_lines() == ["1"]


def test_a_line_break_in_a_line_is_refused(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "a.jsonl") as writer, pytest.raises(BadValue, match="line break"):
        writer.write("a\nb")
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_a_closed_spool_takes_no_lines(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "a.jsonl")
    writer.close()
    writer.close()
    with pytest.raises(BadValue, match="closed"):
        writer.write("a")


def test_the_folder_is_made(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "new" / "a.jsonl") as writer:
        writer.write("a")
    assert SpoolReader(tmp_path / "new" / "a.jsonl").read_lines() == ["a"]


@pytest.mark.parametrize("torn", [b'{"torn', b"\xe2\x82"])
def test_a_torn_line_spoils_only_itself(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"whole\n" + torn)
    reader = SpoolReader(path)
    assert reader.read_lines() == ["whole"]
    with SpoolWriter(path) as writer:
        writer.write("next")
        writer.write("last")
    assert reader.read_lines() == [torn.decode(errors="replace"), "next", "last"]


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "a.jsonl") as writer:
        names = [f"{n}" * 5000 for n in range(4)]

        def work(name: str) -> None:
            for _ in range(50):
                writer.write(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(SpoolReader(tmp_path / "a.jsonl").read_lines()) == sorted(names * 50)


WRITER = """
import sys
from pathlib import Path
from trialrun.run_dir.spool import SpoolWriter

with SpoolWriter(Path(sys.argv[1])) as writer:
    number = 0
    while True:
        writer.write(f"{number} " + "x" * int(sys.argv[2]))
        print(number, flush=True)
        number += 1
"""


@pytest.mark.parametrize(("size", "count"), [(10, 200), (3_000_000, 5)])
def test_what_was_written_survives_kill_9(tmp_path: Path, size: int, count: int) -> None:
    path = tmp_path / "a.jsonl"
    command = [sys.executable, "-c", WRITER, str(path), str(size)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        for _ in range(count):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        told = [*range(count), *map(int, process.stdout.read().split())]
    reader = SpoolReader(path)
    lines = reader.read_lines()
    assert [int(line.split()[0]) for line in lines][: len(told)] == told
    assert all(len(line.split()[1]) == size for line in lines)
    with SpoolWriter(path) as writer:
        writer.write("after")
    assert reader.read_lines()[-1] == "after"


class Seen:
    """Collects lines by file, and wakes the test when there are enough."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self._changed = threading.Condition()

    def __call__(self, path: Path, line: str) -> None:
        with self._changed:
            self.lines.setdefault(path.name, []).append(line)
            self._changed.notify_all()

    def wait(self, name: str, lines: list[str]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.lines.get(name) == lines, LONG)


def test_a_tail_follows_files_as_they_appear(tmp_path: Path) -> None:
    seen = Seen()
    tail = Tail(tmp_path / "spool", seen, 0.01)
    with SpoolWriter(tmp_path / "spool" / "a.jsonl") as first:
        first.write("1")
        assert seen.wait("a.jsonl", ["1"])
        with SpoolWriter(tmp_path / "spool" / "b.jsonl") as second:
            second.write("2")
            first.write("3")
            assert seen.wait("b.jsonl", ["2"])
            assert seen.wait("a.jsonl", ["1", "3"])
    tail.stop()
    assert seen.lines == {"a.jsonl": ["1", "3"], "b.jsonl": ["2"]}


def test_wake_shortens_the_interval(tmp_path: Path) -> None:
    seen = Seen()
    tail = Tail(tmp_path, seen, 3600.0)
    (tmp_path / "a.jsonl").write_text("1\n")
    tail.wake()
    assert seen.wait("a.jsonl", ["1"])
    tail.stop()


def test_drain_hands_over_what_is_there(tmp_path: Path) -> None:
    seen = Seen()
    tail = Tail(tmp_path, seen, 3600.0)
    (tmp_path / "a.jsonl").write_text("1\n2\n3")
    (tmp_path / "notes.txt").write_text("1\n")
    tail.drain()
    assert seen.lines == {"a.jsonl": ["1", "2"]}
    (tmp_path / "a.jsonl").write_text("1\n2\n34\n")
    tail.stop()
    tail.stop()
    assert seen.lines == {"a.jsonl": ["1", "2", "34"]}


def test_no_line_is_handed_over_twice(tmp_path: Path) -> None:
    """Drains from several threads while the tail's own thread runs and a writer writes."""
    seen = Seen()
    tail = Tail(tmp_path, seen, 0.0)
    with SpoolWriter(tmp_path / "a.jsonl") as writer:

        def drain() -> None:
            for _ in range(50):
                tail.drain()

        threads = [threading.Thread(target=drain) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(300):
            writer.write(str(n))
        for thread in threads:
            thread.join()
    tail.stop()
    assert seen.lines == {"a.jsonl": [str(n) for n in range(300)]}


def test_an_error_stops_no_line_after_it(tmp_path: Path) -> None:
    seen = Seen()

    def picky(path: Path, line: str) -> None:
        seen(path, f"{10 // int(line)}")

    tail = Tail(tmp_path, picky, 0.01)
    with SpoolWriter(tmp_path / "a.jsonl") as writer:
        for line in ("5", "0", "2"):
            writer.write(line)
    tail.stop()
    assert seen.lines == {"a.jsonl": ["2", "5"]}
    assert [(error.path.name, error.line) for error in tail.errors] == [("a.jsonl", "0")]
    assert isinstance(tail.errors[0].error, ZeroDivisionError)


def test_a_line_handler_that_drains_changes_no_order(tmp_path: Path) -> None:
    seen = Seen()
    tails: list[Tail] = []

    def draining(path: Path, line: str) -> None:
        if line == "1":
            with path.open("a") as file:
                file.write("3\n")
        tails[0].drain()
        seen(path, line)

    (tmp_path / "b.jsonl").write_text("")
    tails.append(Tail(tmp_path, draining, 3600.0))
    (tmp_path / "a.jsonl").write_text("1\n2\n")
    tails[0].stop()
    tails[0].drain()
    assert seen.lines == {"a.jsonl": ["1", "2", "3"]}


def test_a_new_tail_goes_on_from_the_offsets_of_the_last(tmp_path: Path) -> None:
    first, second = Seen(), Seen()
    (tmp_path / "a.jsonl").write_text("1\n2\nto")
    tail = Tail(tmp_path, first, 3600.0)
    tail.stop()
    (tmp_path / "a.jsonl").write_text("1\n2\ntorn no more\n")
    Tail(tmp_path, second, 3600.0, offsets=tail.offsets).stop()
    assert second.lines == {"a.jsonl": ["torn no more"]}


def test_a_spool_over_its_bound_refuses_the_line_and_keeps_the_others(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path / "a.jsonl", limit=20) as writer:
        writer.write("123456789")
        with pytest.raises(SpoolFull, match="--spool-limit"):
            writer.write("x" * 10)
        writer.write("987654321")
    assert SpoolReader(tmp_path / "a.jsonl").read_lines() == ["123456789", "987654321"]
    with SpoolWriter(tmp_path / "a.jsonl", limit=20) as writer, pytest.raises(SpoolFull):
        writer.write("")


def test_a_full_disk_refuses_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    with SpoolWriter(tmp_path / "a.jsonl") as writer, pytest.raises(SpoolFull, match="No space left"):
        writer.write("x")


def test_a_disk_that_fills_up_in_a_line_spoils_only_that_line(tmp_path: Path) -> None:
    """Run in its own process, whose files may have 100 bytes."""
    code = """if True:
        import resource, signal, sys
        from pathlib import Path
        from trialrun.run_dir.spool import SpoolWriter
        from trialrun_hookspecs.errors import SpoolFull
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        writer = SpoolWriter(Path(sys.argv[1]))
        writer.write("first")
        try:
            writer.write("x" * 200)
        except SpoolFull as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        writer.write("after")
    """
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.jsonl")], capture_output=True, text=True, check=True
    )
    assert "the disk is full" in done.stdout
    first, torn, after = SpoolReader(tmp_path / "a.jsonl").read_lines()
    assert (first, torn.strip("x"), after) == ("first", "", "after")


def test_a_spool_cut_at_any_byte_gives_back_its_whole_lines(tmp_path: Path) -> None:
    written = [events.to_line(events.stamp_event(events.metric_event("a", "b", n, {"é": "ü"}), job_id=1, trial_id="t",
               key=f"r-t-0-{n}", seq=n, time="2026-01-01T00:00:00+00:00")) for n in range(3)]  # fmt: skip
    whole = b"".join(line.encode() + b"\n" for line in written)
    path = tmp_path / "a.jsonl"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert SpoolReader(path).read_lines() == written[:complete]
        with SpoolWriter(path) as writer:
            writer.write(written[2])
        found = SpoolReader(path).read_lines()
        assert found[:complete] == written[:complete]
        assert found[-1] == written[2]
        assert len(found) <= complete + 2
