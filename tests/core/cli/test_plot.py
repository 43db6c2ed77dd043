"""`tropnet plot`: pictures and pages, and one line where there can be none."""

import subprocess
import sys

import numpy as np
import pytest

import tropnet as tn
from tropnet.cli import main as cli

WIDTHS = {"one": [1, 4, 1], "two": [2, 4, 4, 2], "three": [3, 4, 1], "four": [4, 6, 3]}
BEGINNINGS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "html": b"<!DOCTYPE html>"}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the program beside networks of one to four inputs; return exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for name, widths in WIDTHS.items():
        tn.Network.random(widths, seed=0).save(f"{name}.npz")
    np.savetxt("points.csv", np.eye(3, 4), delimiter=",")
    np.save("images.npy", np.eye(3, 4).reshape(3, 1, 2, 2))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tropnet", "plot", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli()
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return call


@pytest.mark.parametrize(
    ("net", "suffix", "options"),
    [
        ("one", "svg", ["--box", "-2", "2"]),
        ("two", "png", []),
        ("two", "svg", ["--box", "-2", "2", "--color", "class", "--hyperplanes", "--boundary"]),
        ("two", "pdf", ["--box", "-2", "2", "--color", "output", "--output-number", "1"]),
        ("two", "html", ["--color", "area"]),
        ("two", "html", ["--box", "-2", "2", "--boundary"]),
        ("three", "html", ["--box", "-2", "2"]),
        ("two", "svg", ["--boundary"]),
        ("two", "png", ["--box", "0,1", "2,1"]),
        ("four", "png", ["--box", "-1,0.3,-2,0.7", "1,0.3,2,0.7", "--hyperplanes", "--boundary"]),
        ("four", "png", ["--slice", "points.csv"]),
        ("four", "html", ["--slice", "images.npy", "--color", "affine"]),
    ],
)
def test_what_is_written(net, suffix, options, run, tmp_path):
    """The file is of the kind that its suffix says, and the number of regions is the library's."""
    code, out, err = run(f"{net}.npz", "-o", f"map.{suffix}", *options)
    assert (code, err) == (0, "")
    written = tmp_path / f"map.{suffix}"
    assert written.read_bytes().startswith(BEGINNINGS[suffix])
    if "--slice" not in options:
        sides = [np.array(side.split(","), float).squeeze() for side in options[1:3] if "--box" in options]
        n_regions = tn.count_regions(tn.load(f"{net}.npz"), tn.Box(*sides) if sides else None)
        assert out.startswith(f"{n_regions} activation regions written to map.{suffix} (")


def test_points_of_a_slice_are_marked(run, tmp_path):
    """A picture names the points that a slice goes through, as `plot_slice` does; its axes, too."""
    assert run("four.npz", "-o", "map.svg", "--slice", "points.csv")[0] == 0
    text = (tmp_path / "map.svg").read_text()
    for label in ("A", "B", "C", "from A towards B"):
        assert f"<!-- {label} -->" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["two.npz", "-o", "map.jpg"], 2, "must end in one of .html, .png, .svg, .pdf, got 'map.jpg'"),
        (
            ["four.npz", "-o", "map.png"],
            1,
            "with LOW = HIGH in all but two inputs, or three points with --slice FILE",
        ),
        (["three.npz", "-o", "map.png", "--box", "-1", "1"], 1, "drawn as a page (-o FILE.html)"),
        (["three.npz", "-o", "map.html"], 1, "drawn in a box; give --box LOW HIGH"),
        (["one.npz", "-o", "map.html"], 1, "write a picture (-o FILE.png)"),
        (["one.npz", "-o", "map.png"], 1, "drawn in a box; give --box LOW HIGH"),
        (["one.npz", "-o", "map.png", "--box", "1", "1"], 1, "one or two inputs can be free where --box fixes others"),
        (["three.npz", "-o", "map.html", "--box", "0,0,1", "2,2,1"], 1, "picture (-o FILE.png), or give --slice FILE"),
        (["four.npz", "-o", "map.png", "--box", "0,0,0,1", "2,2,2,1"], 1, "one or two inputs can be free"),
        (["two.npz", "-o", "map.png", "--box", "0,1", "2,1", "--boundary"], 1, "the network has 1 free input."),
        (["two.npz", "-o", "map.png", "--output-number", "2"], 1, "--output-number must lie in 0, ..., 1, got 2"),
        (["four.npz", "-o", "map.png", "--slice", "points.csv", "--box", "0", "1"], 2, "either --box or --slice"),
        (["two.npz", "-o", "map.png", "--slice", "points.csv"], 1, "must hold points of 2 coordinates"),
        (["two.npz", "-o", "nowhere/map.png"], 1, "no folder to write to"),
        (["one.npz", "-o", "map.png", "--box", "-1", "1", "--boundary"], 1, "are for maps of the plane"),
        (["three.npz", "-o", "map.html", "--box", "-1", "1", "--color", "class"], 1, "the network has 3 inputs"),
    ],
)
def test_what_cannot_be_drawn(arguments, code, message, run, tmp_path):
    """One line says what to do, and nothing is left behind."""
    before = sorted(tmp_path.iterdir())
    found, out, err = run(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert code == 2 or len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("lacking", "out", "extra"), [("plotly", "a.html", "interactive"), ("matplotlib", "a.png", "plot")]
)
def test_a_missing_extra_is_named(lacking, out, extra, tmp_path):
    """Without what draws, one line says what to install."""
    tn.Network.random([2, 3, 1], seed=0).save(tmp_path / "net.npz")
    code = f"import sys; sys.modules[{lacking!r}] = None; from tropnet.cli import main; main()"
    command = [sys.executable, "-c", code, "plot", "net.npz", "-o", out]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"needs the extra '{extra}'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
