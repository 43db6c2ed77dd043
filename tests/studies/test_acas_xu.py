"""The study of ACAS Xu: its instances, its published verdicts, and a quick run on networks of its own."""

import sys
from collections import Counter

import pytest

import tropnet as tn
from analysis.acas_xu.config import INSTANCES, Config
from analysis.acas_xu.files import published_files
from analysis.acas_xu.nnenum import Beside, by_nnenum, version_in
from analysis.shared import results
from tropnet import FileFormatError


def test_the_instances_are_the_usual_ones():
    """186: properties 1 to 4 on 45 networks, 5 to 10 on one each; each has a published verdict, each file a digest."""
    assert len(set(INSTANCES)) == len(INSTANCES) == 186
    assert Counter(number for number, _ in INSTANCES) == dict.fromkeys(range(1, 5), 45) | dict.fromkeys(range(5, 11), 1)
    known = results.published("acas_xu")
    assert set(known["verdicts"]) == {f"{number} on {name}" for number, name in INSTANCES}
    assert all(said and set(said) <= {"holds", "violated"} for said in known["verdicts"].values())
    assert (len(known["networks"]), len(known["properties"])) == (45, 10)


def test_other_files_are_refused(tmp_path):
    """A file with another digest than the published one is not used, and one that is missing is named."""
    config = Config(((1, "1_1"),))
    with pytest.raises(FileNotFoundError, match=r"acasxu/ACASXU_run2a_1_1_batch_2000\.onnx"):
        published_files(config, tmp_path)
    (tmp_path / "ACASXU_run2a_1_1_batch_2000.onnx").write_bytes(b"another")
    with pytest.raises(FileFormatError, match="must have the published sha256"):
        published_files(config, tmp_path)


def test_quick_verdicts_are_those_of_the_maximum(quick):
    """Property 1 holds iff the maximum of output 0 is not above its bound; counts are those of the same box."""
    record = quick("acas_xu").record
    box = tn.Box(-1, [1.0, 1.0, 1.0, 0.5, 0.5])
    assert [(row["property"], row["network"]) for row in record["rows"]] == [
        (1, "1_1"),
        (3, "1_1"),
        (1, "1_2"),
        (3, "1_2"),
    ]
    for row in record["rows"]:
        net = tn.Network.random([5, 6, 6, 5], seed=int(row["network"][-1]) - 1)
        (counted,) = row["regions"]
        assert counted["n_regions"] == tn.count_regions(net, box)
        if row["property"] == 1:
            assert row["status"] == ("holds" if tn.maximum(net, box, 0).value <= 5 else "violated")
        if row["x"] is not None:
            y = net(row["x"])
            assert (y[0] >= y[1:]).all()
    assert record["nnenum"].startswith("not run")


def test_a_program_that_is_not_there():
    """Without nnenum there is no version, and a Python that lacks it gives no verdict."""
    assert version_in("/no/such/python") is None
    assert version_in(sys.executable) is None
    found = by_nnenum(Beside(sys.executable, "net.onnx", "p.vnnlib", 1.0, exact=True))
    assert (found["status"], found["stars"], found["seconds"]) == ("unknown", 0, None)
