"""Runs in directories, and searches in pieces, as reviewers broke them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import tropnet as tn
from tropnet.enumeration import recorded, search
from tropnet.enumeration.engines.vertex.engine import VertexEngine
from tropnet.regions.runs import journal
from tropnet.regions.runs.status import status_of

BOX = tn.Box(-1, 1)


@pytest.fixture
def net():
    """Return a network of 177 regions."""
    return tn.Network.random([2, 16, 16, 1], seed=0)


def patterns(regions):
    """Return the packed patterns, sorted."""
    return sorted(map(bytes, regions.packed))


def test_a_limit_that_is_met_exactly_is_not_the_end(monkeypatch, net):
    """Pieces that ended just at the limit, with subtrees left, were called complete."""
    monkeypatch.setattr(search, "IN_MEMORY", search.IN_MEMORY._replace(least=1e-9, most=1e-9, times_first=0.0))
    n = tn.count_regions(net, BOX)
    with ThreadPoolExecutor(1) as executor:
        for limit in range(1, n + 1, 7):
            regions = tn.enumerate_regions(net, BOX, engine="lp", workers=executor, max_regions=limit)
            assert (len(regions), regions.complete) == (limit, limit == n)


@pytest.mark.parametrize("lost", ["manifest.json", "journal.jsonl"])
def test_what_was_found_is_never_begun_anew(lost, net, tmp_path):
    """Without its manifest a run was overwritten, even by another network's; an empty journal was one that begins."""
    tn.enumerate_regions(net, BOX, out=tmp_path / "run")
    if lost == "manifest.json":
        (tmp_path / "run" / lost).unlink()
    else:
        (tmp_path / "run" / lost).write_bytes(b"")
    kept = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.parquet")}
    with pytest.raises((tn.RunError, tn.FileFormatError), match=r"and no manifest\.json|holds no whole line"):
        tn.enumerate_regions(net, BOX, out=tmp_path / "run")
    assert kept
    assert kept == {path: path.read_bytes() for path in (tmp_path / "run").rglob("*.parquet")}


def test_a_folder_of_parts_is_left_alone(net, tmp_path):
    """A user's own folder of that name was taken for the run's, and emptied."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "0001.parquet").write_bytes(b"mine")
    with pytest.raises(tn.RunError, match="it holds 'parts' and no manifest"):
        tn.count_regions(net, BOX, out=tmp_path)
    assert (tmp_path / "parts" / "0001.parquet").read_bytes() == b"mine"


def test_an_error_after_the_journal_was_replaced(monkeypatch, net, tmp_path):
    """Lines went on into the journal that was no longer there, and were lost without a word."""
    monkeypatch.setattr(recorded, "ON_DISK", recorded.ON_DISK._replace(least=1e-9, most=1e-9, times_first=0.0))
    monkeypatch.setattr(journal, "_GROWN_BY", 0)
    monkeypatch.setattr(journal, "_GROWN_TO", 2)
    write, failed = journal.write_atomically, []

    def replaced_and_failed(path, written):
        write(path, written)
        if path.name == "journal.jsonl" and not failed and (path.parent / "log.jsonl").exists():
            failed.append(path)
            raise OSError(24, "too many open files")

    monkeypatch.setattr(recorded, "_SECONDS_PER_LINE", 0.0)
    monkeypatch.setattr(journal, "write_atomically", replaced_and_failed)
    run = tn.enumerate_regions(net, BOX, engine=VertexEngine(buffer=7, steps=3), out=tmp_path / "run")
    assert failed
    assert run.complete
    assert patterns(run.regions()) == patterns(tn.enumerate_regions(net, BOX))


def test_runs_do_not_move_with_the_working_directory(monkeypatch, net, tmp_path):
    """A relative name meant another directory after a change of the working directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run = tn.enumerate_regions(net, BOX, out="run")
    again = tn.Run("run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(run.regions()) == len(again.regions()) == len(run)


def test_a_directory_that_is_removed_in_the_middle(net, tmp_path, monkeypatch):
    """A count went on into files that nobody can find, and ended as if all was well."""
    monkeypatch.setattr(recorded, "ON_DISK", recorded.ON_DISK._replace(least=1e-9, most=1e-9, times_first=0.0))
    finish = journal.Journal.finish

    def finish_and_remove(self, piece):
        numbers = finish(self, piece)
        self.path.rename(tmp_path / "moved")
        return numbers

    monkeypatch.setattr(journal.Journal, "finish", finish_and_remove)
    with pytest.raises(OSError, match="removed or replaced while it went on"):
        tn.count_regions(net, BOX, engine="lp", out=tmp_path / "run")


@pytest.mark.parametrize("line", ["[1]", '{"rate": "x", "time": "y"}', "no JSON", '{"memory": []}'])
def test_a_log_that_somebody_wrote_into(line, net, tmp_path):
    """The status of a run was a traceback."""
    n = tn.count_regions(net, BOX, out=tmp_path / "run")
    (tmp_path / "run" / "log.jsonl").write_text(line + "\n")
    assert status_of(tmp_path / "run").n_regions == n


def test_a_network_file_that_is_lost_is_written_again(net, tmp_path):
    """The same call ended well, and the run could not be read."""
    tn.enumerate_regions(net, BOX, max_regions=1, out=tmp_path / "run")
    state = status_of(tmp_path / "run")
    (tmp_path / "run" / "network.npz").unlink()
    run = tn.enumerate_regions(net, BOX, out=tmp_path / "run")
    if not state.finished:
        assert run.network.fingerprint == net.fingerprint


def test_an_empty_name_and_a_file(net, tmp_path):
    """'' was the working directory, and a file the error of a system call."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="out must name a directory, got ''"):
        tn.count_regions(net, BOX, out="")
    with pytest.raises(tn.RunError, match="must be a directory, or not exist: it is a file"):
        tn.count_regions(net, BOX, out=tmp_path / "file")


def test_an_executor_that_was_shut_down(net, tmp_path):
    """It was a RuntimeError, and what had been found was lost."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(tn.SubtreeError, match="the executor broke") as caught:
        tn.enumerate_regions(net, BOX, engine="lp", workers=executor)
    assert len(caught.value.partial) == 0
    with pytest.raises(tn.SubtreeError, match="pass a new one, and the run goes on"):
        tn.count_regions(net, BOX, workers=executor, out=tmp_path / "run")


def test_estimates_of_wide_networks_keep_to_their_time(monkeypatch):
    """A single probe took minutes, in which no directory was there and Ctrl-C kept nothing."""
    monkeypatch.setattr(search, "_QUICK", (16, 8, -1.0))
    monkeypatch.setattr(search, "_CAREFUL", (16, 8, -1.0))
    wide = tn.Network.random([4, 40, 40, 1], seed=0)
    prepared = search.Search.prepare(wide, BOX, "vertex", "highs", None, None, only_count=True)
    assert prepared.outlook() is None
