"""Certificates, as a reviewer tried them at the edges."""

import sys
from dataclasses import replace

import pytest

import tropnet as tn
from tropnet.proofs.files import Writer, read_regions, read_statement

NET = tn.Network.random([2, 5, 1], seed=0)
BOX = tn.Box(-1, 1)


def test_a_row_of_zeros_in_the_domain(tmp_path):
    """It is legal and means nothing; what was proven ended in an error about unpacking."""
    tn.certify(NET, BOX, tmp_path / "a.parquet")
    statement = read_statement(tmp_path / "a.parquet")
    with Writer(tmp_path / "b.parquet", replace(statement, A=(*statement.A, (0.0, 0.0)), b=(*statement.b, 1.0))) as to:
        for columns in read_regions(tmp_path / "a.parquet", NET.n_neurons):
            to.append({name: [value] for name, value in columns.items()})
    assert tn.check(NET, tmp_path / "b.parquet").n_regions == tn.count_regions(NET, BOX)


@pytest.mark.parametrize(
    ("name", "error"),
    [("missing/a.parquet", FileNotFoundError), ("folder", IsADirectoryError), ("", ValueError)],
)
def test_what_cannot_be_written_is_said_first(name, error, tmp_path, monkeypatch):
    """The search came before it, and a file with another name stayed behind."""
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys.modules["tropnet.proofs.certify"], "enumerate_regions", lambda *_, **__: pytest.fail("it searched")
    )
    with pytest.raises(error):
        tn.certify(NET, BOX, name)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_long_numbers_can_be_shown(tmp_path):
    """The repr of what was proven was an error about 4300 digits."""
    net = tn.Network.mlp([[[1e300]]] * 21, [[1e300]] + [[0.0]] * 20)
    tn.certify(net, BOX, tmp_path / "a.parquet", maximum=0)
    assert "maximum a number beyond float64 of y_0" in repr(tn.check(net, tmp_path / "a.parquet"))


def test_parts_of_a_run_that_was_interrupted_are_not_left(tmp_path, monkeypatch):
    """They stayed, and the same call was refused."""
    run = tn.enumerate_regions(NET, BOX, out=tmp_path / "run")
    append = Writer.append

    def stopped(self, columns):
        append(self, columns)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "append", stopped)
        with pytest.raises(KeyboardInterrupt):
            tn.certify(run, out=tmp_path / "proof")
    assert list((tmp_path / "proof").iterdir()) == []
    tn.certify(run, out=tmp_path / "proof")
    assert tn.check(NET, tmp_path / "proof").n_regions == len(run)


def test_errors_of_others_are_not_those_of_the_certificate(tmp_path):
    """A pipe that broke in a progress display made a good certificate malformed."""
    from tropnet.proofs.calls import plain_layers
    from tropnet.proofs.checker import check_certificate

    tn.certify(NET, BOX, tmp_path / "a.parquet")

    def broken(_done, _total):
        raise BrokenPipeError(32, "broken pipe")

    with pytest.raises(BrokenPipeError):
        check_certificate(plain_layers(NET), 2, tmp_path / "a.parquet", progress=broken)
