"""Files are read by their suffix, in whatever case; what is no network says where it is read."""

import pytest

import tropnet as tn
from tropnet.loading import READERS, load

NET = tn.Network.random([2, 3, 1], seed=0)


@pytest.mark.parametrize("name", ["net.npz", "NET.NPZ", "net", "net.backup", "net.v1.npz"])
def test_a_saved_network_is_read_whatever_its_name(name, tmp_path):
    """The suffix is read in any case; a file that `save` wrote under a name that says nothing is read as well."""
    NET.save(tmp_path / name)
    assert tn.load(tmp_path / name).fingerprint == NET.fingerprint
    assert tn.load(str(tmp_path / name)).fingerprint == NET.fingerprint


@pytest.mark.parametrize("suffix", [*READERS, ".safetensors", ""])
def test_what_is_missing_is_said_first(suffix, tmp_path):
    """A file that is not there is a FileNotFoundError, of whatever kind it would be."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        tn.load(tmp_path / f"nowhere{suffix}")


@pytest.mark.parametrize("name", ["net.safetensors", "net"])
def test_unknown_suffixes(name, tmp_path):
    """A file of a kind that nobody reads is refused with the list of those that are."""
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(tn.FileFormatError, match=rf"{name}' must be a network: .*\.npz or \.onnx, or one that"):
        tn.load(tmp_path / name)


@pytest.mark.parametrize("name", ["regions.parquet", "REGIONS.PARQUET"])
def test_files_of_regions(name, tmp_path):
    """Regions are not a network: the error names what reads them."""
    with pytest.raises(tn.FileFormatError, match=rf"{name}' is not a tropnet network .*Regions\.from_parquet\(path\)"):
        tn.load(tmp_path / name)


def test_load_was_in_another_module():
    """The function is found where it was before, with a warning that says where it is."""
    with pytest.warns(DeprecationWarning, match=r"\.load is now tropnet\.loading\.load"):
        assert tn.network.load is load
    with pytest.raises(AttributeError, match=r"network' has no attribute 'nothing'"):
        _ = tn.network.nothing
