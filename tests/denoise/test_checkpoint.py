"""Denoisers in files: what is read is what was written, and nothing else is read."""

import pickle

import pytest
import torch

from denoise.checkpoint import FORMAT, VERSION, Denoiser, load_denoiser, save_denoiser
from denoise.networks import network
from denoise.unet import UNet
from recon.io import FileError

ARGUMENTS = {"width": 4, "levels": 1}
SETTINGS = {"network": "unet", "arguments": ARGUMENTS, "voxel_mm": (4, 4, 4.5), "target": "truth"}


@pytest.fixture
def denoiser():
    torch.manual_seed(3)
    made = UNet(**ARGUMENTS)
    torch.nn.init.normal_(made.head.weight)
    return Denoiser(made.eval(), SETTINGS)


def changed(path, **changes):
    """A checkpoint with some of its content replaced."""
    content = torch.load(path, weights_only=True) | changes
    torch.save(content, path)
    return path


@pytest.fixture
def path(tmp_path, denoiser):
    save_denoiser(tmp_path / "model.pt", denoiser)
    return tmp_path / "model.pt"


def test_what_is_read_does_the_same_bit_for_bit(path, denoiser):
    found = load_denoiser(path)
    x, noise = torch.rand(1, 1, 9, 8, 7), torch.tensor([0.3])
    with torch.no_grad():
        assert torch.equal(found.network(x, noise), denoiser.network(x, noise))
    assert found.settings == SETTINGS | {"voxel_mm": [4, 4, 4.5]}
    assert not found.network.training


def test_the_same_denoiser_makes_the_same_file(path, tmp_path, denoiser):
    save_denoiser(tmp_path / "again.pt", denoiser)
    assert (tmp_path / "again.pt").read_bytes() == path.read_bytes()


def test_a_file_of_the_other_memory_order_is_the_same(path, tmp_path, denoiser):
    denoiser.network.to(memory_format=torch.channels_last_3d)
    save_denoiser(tmp_path / "again.pt", denoiser)
    assert (tmp_path / "again.pt").read_bytes() == path.read_bytes()


def test_another_version_is_refused(path):
    with pytest.raises(FileError, match=f"version {VERSION + 1}.*reads {VERSION}"):
        load_denoiser(changed(path, version=VERSION + 1))


def test_weights_of_another_shape_are_refused(path):
    settings = SETTINGS | {"arguments": {"width": 8, "levels": 1}}
    with pytest.raises(FileError, match="do not fit the network unet"):
        load_denoiser(changed(path, settings=settings))


def test_settings_that_the_network_does_not_take_are_refused(path):
    settings = SETTINGS | {"arguments": {"depth": 8}}
    with pytest.raises(FileError, match="depth"):
        load_denoiser(changed(path, settings=settings))


def test_weights_that_are_not_finite_are_refused(path, denoiser):
    weights = denoiser.network.state_dict()
    weights["head.bias"] = torch.tensor([float("nan")])
    with pytest.raises(FileError, match="not finite"):
        load_denoiser(changed(path, weights=weights))


class Bad:
    def __reduce__(self):
        return exec, ("raise SystemExit('the file ran code')",)


def test_a_file_cannot_run_code(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"format": FORMAT, "version": VERSION, "settings": Bad(), "weights": {}}, path)
    with pytest.raises(FileError, match="no checkpoint"):
        load_denoiser(path)
    path.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(FileError, match="no checkpoint"):
        load_denoiser(path)


def test_a_file_alone_cannot_have_a_module_imported(path):
    changed(path, settings=SETTINGS | {"network": "denoise.unet:UNet"})
    with pytest.raises(FileError, match="if you trust it"):
        load_denoiser(path)
    assert load_denoiser(path, foreign="denoise.unet:UNet").network.levels == 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(FileError, match="no checkpoint of a network; `countless train` makes"):
        load_denoiser(path)


def test_a_cut_off_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(FileError, match="no checkpoint"):
        load_denoiser(path)


def test_a_disk_that_fills_leaves_the_old_file(path, denoiser, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(FileError, match="no space left"):
        save_denoiser(path, denoiser)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["model.pt"]


@pytest.mark.parametrize(("name", "said"), [
    ("unt", "nearest known one is `unet`"), ("no.such:Thing", "cannot be imported"),
    ("denoise.unet:Nothing", "cannot be imported"), ("denoise.unet:moved", r"torch.nn.Module"),
])
def test_a_network_that_is_not_there_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        network(name, {})
