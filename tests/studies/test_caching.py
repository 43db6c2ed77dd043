"""The study of caching rates: ensembles, patterns, resumed runs, Table 2's test, quick profiles on generated images."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

import tropnet as tn
from analysis.caching_rates import training
from analysis.caching_rates.config import NAME, Config
from analysis.caching_rates.evaluate import (
    by_class,
    centroid_distances,
    compare,
    dataset_pairs,
    fit,
    fit_by_setting,
    network_sizes,
    separation,
    verdict,
)
from analysis.caching_rates.rows import rows, sensitivity_rows
from analysis.caching_rates.tables import nearest, write
from analysis.caching_rates.training import (
    Arm,
    Findings,
    cached_points,
    freeze,
    initial,
    outputs,
    resume,
    stored,
    train,
)
from analysis.caching_umap.config import NAME as UMAP
from analysis.caching_umap.config import Config as UmapConfig
from analysis.caching_umap.run import embed
from analysis.shared import datasets
from analysis.shared.gray_images import GRAY_CIFAR10, GrayImages, load_gray
from analysis.shared.main import main
from analysis.shared.results import published as published_numbers
from tests.studies.commands import study
from tests.studies.generated import FirstTwoAxes, stripes
from tropnet import FileFormatError, MissingExtraError, NonFiniteError

ARM = Arm("mnist", 3, 5, ((1, 3),), networks=3, batch=16, epochs=2, learning_rate=1e-2)
SKIPS = [(), ((1, 3),), ((1, 3), (2, 4)), ((0, 2),)]


def images(n, seed=0):
    pixels, labels = stripes(n, 28, seed)
    return GrayImages(pixels.reshape(n, -1)[:, ::16].copy(), labels, "generated")


def no_update(*_):
    """Report nothing."""


# --- the ensemble


@pytest.mark.parametrize("skips", SKIPS)
def test_an_ensemble_is_its_frozen_networks(skips):
    """Every network of an ensemble gives the outputs of its frozen network, skips included, on points of its own."""
    # A skip from the input needs inputs as wide as a layer.
    arm = replace(ARM, layers=4, skips=skips)
    parameters = initial(arm, arm.neurons, torch.Generator().manual_seed(0))
    doubled = [(weight.double(), bias.double()) for weight, bias in parameters]
    x = torch.rand((arm.networks, 20, arm.neurons), dtype=torch.float64) * 4 - 2
    found = outputs(doubled, skips, x).numpy()
    networks = freeze(parameters, skips)
    assert len(networks) == arm.networks
    for net, points, values in zip(networks, x.numpy(), found, strict=True):
        assert isinstance(net, tn.Network)
        assert net.skips == skips
        np.testing.assert_allclose(net(points), values, rtol=1e-12, atol=1e-12)


def test_initial_weights_are_those_of_linear_layers():
    """Weights and biases are uniform in +-1/sqrt(n_in), as `torch.nn.Linear` draws them, and no two networks alike."""
    (weight, bias), *_, (last, _) = initial(replace(ARM, networks=400), 49, torch.Generator().manual_seed(0))
    for tensor, bound in ((weight, 1 / 7), (bias, 1 / 7), (last, 1 / np.sqrt(5))):
        scaled = tensor.numpy().ravel() / bound
        assert stats.kstest(scaled, stats.uniform(-1, 2).cdf).pvalue > 0.01
    torch.manual_seed(0)
    drawn = torch.cat([nn.Linear(49, 5).weight.detach().ravel() for _ in range(50)]).numpy()
    assert stats.ks_2samp(weight.numpy().ravel(), drawn).pvalue > 0.01
    assert not torch.equal(weight[0], weight[1])


@pytest.mark.parametrize("centred", [False, True])
def test_training_together_is_training_apart(centred):
    """Each network of an arm takes the steps that plain PyTorch modules take with the same weights and order."""
    data = images(50)
    together = freeze(train(replace(ARM, centred=centred), data, no_update), ARM.skips)

    generator = torch.Generator().manual_seed(ARM.random_seed)
    begin = initial(ARM, data.pixels.shape[1], generator)
    orders = [torch.rand((ARM.networks, len(data)), generator=generator).argsort(dim=1) for _ in range(ARM.epochs)]
    x, labels = torch.from_numpy(data.pixels / np.float32(255)), torch.from_numpy(data.labels)
    x = 2 * x - 1 if centred else x
    for i, net in enumerate(together):
        layers = [nn.Linear(*weight.shape[1:]) for weight, _ in begin]
        with torch.no_grad():
            for layer, (weight, bias) in zip(layers, begin, strict=True):
                layer.weight.copy_(weight[i].T)
                layer.bias.copy_(bias[i, 0])
        optimiser = torch.optim.Adam([p for layer in layers for p in layer.parameters()], lr=ARM.learning_rate)
        for order in orders:
            for rows_ in order[i].split(ARM.batch):
                first = functional.relu(layers[0](x[rows_]))
                second = functional.relu(layers[1](first))
                third = functional.relu(layers[2](second + first))
                loss = functional.cross_entropy(layers[3](third), labels[rows_])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        for layer, frozen in zip(layers, net.layers, strict=True):
            np.testing.assert_allclose(layer.bias.detach(), frozen.bias, atol=1e-4)
            np.testing.assert_allclose(layer.weight.detach(), next(iter(frozen.weights.values())), atol=1e-4)


def test_arms_have_random_numbers_of_their_own():
    """With skips and without, and for another batch, the numbers differ; not on another device or range of pixels."""
    arms = [ARM, replace(ARM, skips=()), replace(ARM, batch=17), replace(ARM, dataset="cifar10"), replace(ARM, seed=1)]
    assert len({arm.random_seed for arm in arms}) == len(arms)
    assert replace(ARM, device="cuda").random_seed == replace(ARM, centred=True).random_seed == ARM.random_seed


def test_a_diverging_arm_is_refused():
    """A loss that is not finite stops the arm, and says which."""
    with pytest.raises(NonFiniteError, match=r"the losses of mnist, 3 x 5, skips 1-3, batch 16 must be finite"):
        train(replace(ARM, learning_rate=1e38), images(50), no_update)


# --- what is cached


@pytest.mark.parametrize("skips", SKIPS[:2])
def test_cached_counts_are_those_of_a_cache(skips):
    """The cached test points are those that `CachedPredictor`, warm with the training points, finds in its cache."""
    net = tn.Network.random([2, 4, 4, 4, 10], skips, seed=1)
    rng = np.random.default_rng(0)
    training, test = rng.normal(size=(60, 2)), rng.normal(size=(200, 2)) * 2
    found, n_regions = cached_points(net, training, test)

    patterns = {tuple(pattern) for pattern in net.activation_pattern(training)}
    assert found.tolist() == [tuple(pattern) in patterns for pattern in net.activation_pattern(test)]
    assert n_regions == len(patterns)
    for point, cached in zip(test, found, strict=True):
        predict = tn.CachedPredictor(net)
        predict(training)
        hits = predict.info().hits
        predict(point)
        assert predict.info().hits - hits == cached
    assert 0 < found.sum() < len(test)


def test_a_resumed_arm_is_the_same(tmp_path, capsys):
    """The second run reads what the first wrote; made anew, it is the same; other images are another arm."""
    data, test = images(60), images(30, seed=1)
    assert stored(ARM, data, test, tmp_path) is None
    first = resume(ARM, data, test, tmp_path)
    assert "mnist, 3 x 5, skips 1-3, batch 16" in capsys.readouterr().out
    again, anew = resume(ARM, data, test, tmp_path), resume(ARM, data, test, tmp_path / "other")
    assert again.seconds == first.seconds
    for other in (again, anew):
        for name in ("cached", "predicted", "n_regions"):
            np.testing.assert_array_equal(getattr(first, name), getattr(other, name))
    assert first.cached.shape == first.predicted.shape == (3, 30)
    assert stored(ARM, data, images(30, seed=2), tmp_path) is None
    assert stored(replace(ARM, epochs=1), data, test, tmp_path) is None


def test_a_damaged_arm_is_refused(tmp_path):
    """A file that is not what a run wrote is named."""
    data, test = images(20), images(10)
    resume(replace(ARM, epochs=1), data, test, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(FileFormatError, match=path.name):
        stored(replace(ARM, epochs=1), data, test, tmp_path)


# --- the statistics


def test_direction_of_the_test_is_the_published_one():
    """U is of the networks with skips, p is small if they have fewer: the printed p follow from the printed U so."""
    n = 50
    for row in published_numbers("lr_table_2")["rows"]:
        deviation = np.sqrt(n * n * (2 * n + 1) / 12)
        p = stats.norm.cdf((row["U"] + 0.5 - n * n / 2) / deviation)
        # Ties, of which rows with few cached images have many, make the printed p smaller.
        assert p == pytest.approx(row["p"], rel=0.03 if row["cached_with"] > 10 else 0.25)
        assert (p < 0.05) == row["reject"]
    fewer, more = np.arange(50), np.arange(50) + 20
    found = compare(fewer, more)
    assert found["p"] < 1e-6 < 1 - 1e-6 < found["p_contrary"]
    assert found["superiority"] == pytest.approx(1 - found["U"] / 2500)
    assert found["superiority"] > 0.5
    assert compare(more, fewer)["p"] == found["p_contrary"]


@pytest.mark.parametrize(
    ("reject", "with_", "without", "p", "text"),
    [
        (True, 1, 2, 0.01, "reproduced"),
        (True, 1, 2, 0.06, "direction only"),
        (True, 2, 1, 0.9, "not reproduced"),
        (False, 1, 2, 0.4, "reproduced: not significant in print and here (fewer with skips)"),
        (False, 2, 1, 0.6, "reproduced: not significant in print and here (not fewer with skips)"),
        (False, 1, 2, 0.01, "differs"),
        (None, 1, 2, 0.01, "fewer with skips, significant; nothing in print"),
        (None, 2, 1, 0.9, "not fewer with skips, not significant; nothing in print"),
    ],
)
def test_verdicts(reject, with_, without, p, text):
    """A verdict says what print has, what came out here, and whether they agree."""
    published = None if reject is None else {"reject": reject}
    assert verdict(published, with_, without, p).startswith(text)


def test_distance_to_print_in_standard_errors():
    """Two means, of 50 networks each, differ by three of their standard errors."""
    arm = {"networks": 50, "accuracy": 0.5, "cached": 10.0, "cached_deviation": 5.0}
    published = {"accuracy_with": 0.75, "cached_with": 13.0}
    assert fit(arm, published, "with", 50) == {"accuracy_difference": 0.25, "cached_z": pytest.approx(3.0)}
    assert fit({**arm, "cached_deviation": 0.0}, published, "with", 50)["cached_z"] is None


def test_settings_are_compared_with_print_by_their_sum_of_squares():
    """The z of all rows and arms of one setting add up; rows with nothing in print do not count."""
    arm = {"networks": 10}
    fits = {
        side: {"cached_z": z, "accuracy_difference": z / 100 + 0.02} for side, z in (("with", 1.0), ("without", 2.0))
    }
    row = {"dataset": "mnist", "pixels": [0, 1], "batch": 100, "fit": fits, "with": arm, "without": arm}
    found = fit_by_setting([row, row, {**row, "batch": 64}, {**row, "fit": None}])
    assert [(entry["batch"], entry["chi2"], entry["df"], entry["networks"]) for entry in found] == [
        (100, 10.0, 4, 10),
        (64, 5.0, 2, 10),
    ]
    assert found[1]["p"] == pytest.approx(np.exp(-2.5))
    assert found[0]["accuracy_difference"] == pytest.approx(np.sqrt(0.00125))


def test_rates_by_class():
    """Rates are of all images of a class in all networks; a class that no network predicts has none."""
    cached = np.array([[True, True, False, False], [True, False, False, False]])
    predicted = np.array([[0, 0, 1, 1], [0, 1, 1, 1]], dtype=np.uint8)
    labels = np.array([0, 0, 1, 1])
    with np.errstate(all="raise"):
        found = by_class(Findings(cached, predicted, np.array([1, 1]), 0.0), labels)
    assert found["true"]["rate"] == [0.75, 0.0, *[None] * 8]
    assert found["predicted"]["rate"] == [1.0, 0.0, *[None] * 8]
    assert found["true"]["spread"] == 0.75
    assert found["lowest_and_highest"] == [1, 0]
    assert found["agreement"] == 1.0


def test_centroid_distances_are_to_the_own_class():
    """A point is compared with the mean of the training points of its class."""
    points = np.repeat(np.arange(10.0), 2)[:, None] + np.tile([[-0.5], [0.5]], (10, 1))
    found = centroid_distances(points, np.repeat(np.arange(10), 2), np.array([[3.0], [5.0]]), np.array([3, 4]))
    np.testing.assert_allclose(found, [0.0, 1.0])


def test_separation_by_hand():
    """The area is the share of pairs in which the uncached image is farther; networks with one kind do not count."""
    distances, labels = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1])
    cached = np.array([[True, True, False, False], [False, True, False, True], [True] * 4, [False] * 4])
    found = separation(cached, distances, labels)
    assert found["networks"] == 2
    # In the second network 3 > 2 only.
    assert found["area"] == pytest.approx((1 + 1 / 4) / 2)
    assert found["share_above_half"] == 0.5
    assert (found["mean_cached"], found["mean_uncached"]) == (
        pytest.approx((1.5 + 3) / 2),
        pytest.approx((3.5 + 2) / 2),
    )
    # Within classes the first network has the pairs (3, 1) and (4, 2), the second none.
    assert (found["within"]["area"], found["within"]["deviation"]) == (1.0, None)
    brute = [np.mean([(u > c) + 0.5 * (u == c) for u in distances[~row] for c in distances[row]]) for row in cached[:2]]
    assert found["area"] == pytest.approx(np.mean(brute))
    assert separation(cached[2:], distances, labels) == {"networks": 0}
    far = separation(np.repeat(cached[:1], 8, axis=0), distances, labels)
    assert far["p"] < 0.01 < 0.99 < far["p_contrary"]


def test_sizes_and_data_sets_from_the_table():
    """Sizes are ordered by their neurons, data sets compared by their rates, whatever their numbers of images."""

    def entry(dataset, shape, pixels, counts, n, batch=100):
        arm = {"cached_counts": counts, "rate": np.mean(counts) / n, "training_regions": 7.0, "test_images": n}
        layers, neurons = shape
        name = {"dataset": dataset, "layers": layers, "neurons": neurons, "pixels": pixels, "batch": batch}
        return {**name, "with": arm, "without": arm}

    table = [
        entry("mnist", (3, 32), [0, 1], [1, 2], 10),
        entry("mnist", (4, 8), [0, 1], [2, 9], 10),
        entry("svhn", (4, 8), [0, 1], [18, 20], 100),
        entry("svhn", (4, 8), [-1, 1], [1, 2], 100),
        entry("mnist", (4, 8), [0, 1], [1, 1], 10, batch=50),
    ]
    sizes = network_sizes(table)
    assert [(size["dataset"], size["pixels"]) for size in sizes[::2]] == [
        ("mnist", [0, 1]),
        ("svhn", [0, 1]),
        ("svhn", [-1, 1]),
        ("mnist", [0, 1]),
    ]
    assert [size["batch"] for size in sizes[::2]] == [100, 100, 100, 50]
    assert sizes[0]["shapes"] == [[4, 8], [3, 32]]
    assert sizes[0]["smaller_has_more"] == [0.875]
    pairs = dataset_pairs(table)
    assert pairs[2]["rate"] == {"mnist": 0.55, "svhn": pytest.approx(0.19)}
    assert pairs[2]["mnist_has_more"] == {"svhn": 0.875}
    assert (pairs[6]["batch"], pairs[6]["rate"], pairs[6]["mnist_has_more"]) == (50, {"mnist": 0.1}, {})
    assert (pairs[4]["pixels"], pairs[4]["networks"], pairs[4]["mnist_has_more"]) == ([-1, 1], {"svhn": 2}, {})


# --- the images


def test_gray_cifar10_from_a_folder(folder, tmp_path):
    """Without the published archive the gray one is read and named; a damaged one is refused."""
    folder = shutil.copytree(folder, tmp_path / "copy")
    found = load_gray("cifar10", "test", folder)
    pixels, labels = stripes(100, 32, 2)
    np.testing.assert_array_equal(found.pixels, pixels.reshape(100, -1))
    np.testing.assert_array_equal(found.labels, labels)
    assert found.source.startswith(f"{GRAY_CIFAR10}, sha256 ")
    assert found.scaled().max() <= 1
    np.savez(folder / GRAY_CIFAR10, x_test=pixels[:5], y_test=labels)
    with pytest.raises(FileFormatError, match=r"x_test must be uint8 \(100, 32, 32\), one image per label"):
        load_gray("cifar10", "test", folder)
    (folder / GRAY_CIFAR10).write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="must be an archive with x_test and y_test"):
        load_gray("cifar10", "test", folder)
    # The published archive, even a damaged one, goes first.
    (folder / "cifar-10-python.tar.gz").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="must have the published md5"):
        load_gray("cifar10", "test", folder)


def test_colours_become_luma(monkeypatch):
    """A data set in colour is read as its luma, in rows."""
    colours = datasets.Images(np.full((2, 3, 4, 4), 100, dtype=np.uint8), np.array([1, 2]))
    monkeypatch.setattr(datasets, "load", lambda *_, **__: colours)
    found = load_gray("svhn", "train")
    np.testing.assert_array_equal(found.pixels, np.full((2, 16), 100))
    assert found.source == "the published files"


# --- the study


def without_times(record):
    """Return a record without what differs from run to run."""
    record = json.loads(json.dumps(record))
    for row in record["rows"] + record["sensitivity"]:
        del row["with"]["seconds"], row["without"]["seconds"]
    del record["command"]
    return record


def test_rows_are_those_of_the_table_and_what_is_not_stated():
    """Nine rows in print, six of them with both ranges of pixels, three for Fashion-MNIST without print."""
    found = rows(Config())
    published = published_numbers("lr_table_2")["rows"]
    assert [row.published for row in found] == [*published, *published[3:], None, None, None]
    assert [row.centred for row in found] == [False] * 9 + [True] * 6 + [False] * 3
    assert [row.skips for row in found] == 6 * [((1, 3), (2, 4)), ((1, 3),), ((1, 3),)]
    arm = found[0].arm("with", Config())
    assert (arm.skips, arm.batch, arm.epochs, arm.networks) == (((1, 3), (2, 4)), 100, 5, 50)
    assert found[0].arm("without", Config()) == replace(arm, skips=())
    assert {(row.dataset, row.batch, row.centred, row.networks) for row in sensitivity_rows(Config())} == {
        ("mnist", 50, False, 50),
        ("mnist", 200, False, 50),
        ("mnist", 64, True, 50),
        ("mnist", 100, True, 50),
        ("cifar10", 64, True, 50),
        ("svhn", 64, True, 50),
    }


def test_quick_profile_stopped_and_resumed(folder, again, tmp_path, monkeypatch, capsys):
    """A stopped run reports what it has and goes on to the results of a run in one go; absent data is said to be."""
    found = []

    def run(out, *arguments):
        return without_times(again(NAME, out, "--batch", "50", *arguments))

    def stop(*arguments):
        if len(found) == 5:
            raise KeyboardInterrupt
        found.append(find(*arguments))
        return found[-1]

    find = training.find
    with monkeypatch.context() as patched:
        patched.setattr(training, "find", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "stopped")
    part = run(tmp_path / "stopped", "--summarise")
    assert [(row["dataset"], row["layers"], row["neurons"]) for row in part["rows"]] == [
        ("mnist", 4, 8),
        ("mnist", 3, 16),
    ]
    assert {entry["reason"] for entry in part["not_run"] if entry["dataset"] == "mnist"} == {"not trained"}

    capsys.readouterr()
    resumed = run(tmp_path / "stopped")
    done = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("mnist") and line.find("batch 50:") > 0
    ]
    assert [line.partition(":")[0] for line in done] == ["mnist, 3 x 32, no skips, batch 50"]
    whole = run(tmp_path / "whole")
    assert resumed == whole
    assert len(whole["rows"]) == 12
    assert {row["dataset"] for row in whole["rows"]} == {"mnist", "cifar10", "fashion-mnist"}
    assert [(row["batch"], row["pixels"]) for row in whole["sensitivity"]] == 3 * [(100, [0, 1])] + 3 * [(50, [-1, 1])]
    assert [(entry["dataset"], entry["reason"]) for entry in whole["not_run"]] == 3 * [
        ("svhn", "data absent: train_32x32.mat, test_32x32.mat")
    ]
    assert "not run: SVHN, 3 x 32, 1-3, batch 50: data absent" in capsys.readouterr().out
    assert str(folder) not in json.dumps(whole)
    counted = {
        (tuple(entry["pixels"]), entry["batch"]): entry["significant_in_print_and_run"]
        for entry in whole["verdict"]["by_setting"]
    }
    assert counted == {((0, 1), 50): 5, ((-1, 1), 50): 5, ((0, 1), 100): 2}
    fits = {(entry["dataset"], tuple(entry["pixels"]), entry["batch"]): entry for entry in whole["fit_by_setting"]}
    chosen = nearest(whole)
    assert {row["dataset"] for row in chosen} == {"mnist", "cifar10"}
    for row in chosen:
        own = fits[row["dataset"], tuple(row["pixels"]), row["batch"]]
        rivals = [entry for key, entry in fits.items() if key[0] == row["dataset"]]
        assert own["chi2"] == min(entry["chi2"] for entry in rivals if entry["networks"] >= whole["config"]["networks"])
    for row in whole["rows"]:
        expected = compare(row["with"]["cached_counts"], row["without"]["cached_counts"])
        assert row["test"] == expected
    text = (tmp_path / "whole" / "results" / "caching_rates.md").read_text()
    assert text.count("## ") == 9
    assert "- SVHN, 4 x 8, 1-3, 2-4, batch 50: data absent" in text


def test_tables_leave_the_text_around_them(quick, tmp_path):
    """The tables go between their marks; a file without marks is refused and stays."""
    record = quick(NAME).record
    path = tmp_path / "caching_rates.md"
    write(path, record)
    tables = path.read_text()
    assert tables == (quick(NAME).out / "results" / "caching_rates.md").read_text()
    path.write_text(f"before\n{tables}after\n")
    write(path, record)
    assert path.read_text() == f"before\n{tables}after\n"
    path.write_text("before")
    with pytest.raises(ValueError, match="must have the marks"):
        write(path, record)
    assert path.read_text() == "before"


# --- the figure


def test_figure_of_the_embedding(again, tmp_path, monkeypatch):
    """One embedding a data set, kept; the colours are the first network's of `caching_rates`; SVHN is not run."""
    monkeypatch.setattr(FirstTwoAxes, "made", 0)
    rates = again(NAME, tmp_path, "--batch", "50")
    records = [again(UMAP, tmp_path, "--batch", "50", "--n-train", "200") for _ in range(2)]
    assert FirstTwoAxes.made == 3
    assert records[0] == records[1]
    assert records[0]["not_run"] == {"svhn": "data absent"}
    assert len(records[0]["panels"]) == 9
    shown = [row for row in rates["rows"] if row["dataset"] != "cifar10" or row["pixels"] == [-1, 1]]
    for panel, row in zip(records[0]["panels"], shown, strict=True):
        assert panel["cached"] == row["without"]["cached_counts"][0]
        assert (panel["test_images"], panel["embedded_training_images"]) == (100, 200)


def test_missing_umap_is_named(monkeypatch):
    """Without umap-learn the error says which extra installs it."""
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"umap-learn.*pip install 'tropnet\[analysis\]'"):
        embed(np.zeros((3, 2), dtype=np.float32), UmapConfig())


def test_missing_umap_ends_the_command_with_a_word(folder, tmp_path, monkeypatch):
    """What a user can mend is a message, not a traceback."""
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(SystemExit, match=r"python -m analysis\.caching_umap: .*pip install 'tropnet\[analysis\]'"):
        main(study(UMAP), ["--quick", "--data", str(folder), "--out", str(tmp_path)])
