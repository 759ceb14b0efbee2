"""Modules that take images alone, MONAI's among them, as denoisers."""


import pytest
import torch
import yaml
from torch import nn

import countless
from denoise.checkpoint import load_denoiser, save_denoiser
from denoise.image_only import ImageOnly
from denoise.networks import answer, check_takes, network
from recon.grid import Grid
from recon.io import FileError, read_image, write_image
from tests.denoise import made
from tests.denoise.runs import OWN, run

HERE = "tests.denoise.test_image_only"


class Last(nn.Module):
    """The last channel, the noise, as the answer; it notes the shapes that it sees."""

    def __init__(self, outputs=1):
        super().__init__()
        self.outputs, self.seen = outputs, []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return x[:, -1:].expand(-1, self.outputs, -1, -1, -1)


class Convolution(nn.Module):
    """A convolution, normalized over a batch."""

    def __init__(self, channels):
        super().__init__()
        self.convolution = nn.Conv3d(channels, 1, 3, padding=1)
        self.norm = nn.BatchNorm3d(1)

    def forward(self, x):
        return self.norm(self.convolution(x))


class Both(nn.Module):
    def __init__(self, noise_first=False):
        super().__init__()

    def forward(self, x, noise=None):
        return x[:, :1] * noise[:, None, None, None, None]


class Several(nn.Module):
    def forward(self, x):
        return [x[:, :1], x[:, :1]]


def images(*shape, inputs=1):
    return torch.rand(2, inputs, *shape, generator=torch.Generator().manual_seed(2))


NOISE = torch.tensor([0.1, 0.6])


def test_the_logarithm_of_the_noise_is_a_last_channel_and_the_answer_is_added():
    found = network(f"{HERE}:Last", {})(images(4, 5, 6, inputs=2), NOISE)
    level = torch.tensor([-2.302585, -0.510826])  # of 0.1 and 0.6
    wanted = images(4, 5, 6, inputs=2)[:, :1] + level[:, None, None, None, None]
    torch.testing.assert_close(found, wanted)


def test_a_module_sees_multiples_of_sixteen_voxels_and_images_of_any_size_come_back():
    module = network(f"{HERE}:Last", {})
    assert module(images(9, 16, 33), NOISE).shape == (2, 1, 9, 16, 33)
    assert module.module.seen == [(2, 2, 16, 16, 48)]


def test_a_module_that_takes_noise_is_taken_as_it_is():
    made = network(f"{HERE}:Both", {"noise_first": True})
    torch.testing.assert_close(made(images(2, 2, 2), NOISE)[1], 0.6 * images(2, 2, 2)[1])


@pytest.mark.parametrize(("name", "settings", "said"), [
    (f"{HERE}:Last", {"inputs": 2}, "cannot be made of the settings"),
    ("torch.nn:Conv3d", {"in_channels": 3}, "cannot be made of the settings"),
    ("torch.nn:Conv3d", {"in_channels": 0, "out_channels": 1, "kernel_size": 0, "groups": -1},
     "groups must be a positive integer"),
])
def test_settings_that_a_module_does_not_take_are_refused(name, settings, said):
    with pytest.raises(ValueError, match=said):
        network(name, settings)


@pytest.mark.parametrize(("made", "said"), [
    (ImageOnly(nn.Conv3d(1, 1, 1)), r"\(1, 1, 8, 8, 8\) and a channel of noise: .*to have 1 chan"),
    (ImageOnly(Last(outputs=2)), r"\(1, 1, 8, 8, 8\), got \(1, 2, 8, 8, 8\)"),
    (ImageOnly(Several()), r"does not take images"),
    (nn.Bilinear(1, 1, 1), r"does not take images .*; give it other settings"),
])
def test_a_module_that_does_not_answer_with_an_image_is_refused(made, said):
    with pytest.raises(ValueError, match=said):
        check_takes(made, 1, (8, 8, 8))


def test_memory_that_is_not_there_is_no_fault_of_the_images(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        answer(ImageOnly(full), images(2, 2, 2), NOISE)


def test_statistics_of_batches_are_part_of_what_is_kept(study_folder, tmp_path):
    run(study_folder, tmp_path / "run", network=f"{HERE}:Convolution", epochs=1,
        network_settings={"channels": 2}, **OWN)
    found = load_denoiser(tmp_path / "run" / "model.pt", foreign=f"{HERE}:Convolution")
    assert found.network.module.norm.num_batches_tracked == 4


CONFIG = """\
network: {network}
network-settings: {settings}
patch: [16, 16, 16]
patches: 2
batch: 1
epochs: 1
validation-patches: 1
workers: 0
accelerator: cpu
"""
GRID = Grid.centred(shape=(24, 20, 16), voxel_mm=(8, 8, 8))  # of the study's voxels
UNET = "monai.networks.nets:UNet"
SETTINGS = {"spatial_dims": 3, "in_channels": 2, "out_channels": 1, "channels": [4, 8],
            "strides": [2], "norm": None}


@pytest.fixture
def train(study_folder, tmp_path):
    """Runs `countless train` with settings in a file; returns its exit code."""
    def run(name=UNET, settings=SETTINGS, *more):
        config = tmp_path / "monai.yaml"
        said = yaml.safe_dump(settings, default_flow_style=True, width=1000).strip()
        config.write_text(CONFIG.format(network=name, settings=said))
        return countless.main(["train", str(study_folder), "--config", str(config), "-o",
                               str(tmp_path / "run"), "--examples-every", "0", *more])

    return run


def test_monais_u_net_is_trained_saved_loaded_and_used(train, tmp_path, monkeypatch, capsys):
    assert train() == 0
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileError, match=f"holds the network {UNET}"):
        load_denoiser("run/model.pt")
    found = load_denoiser("run/model.pt", foreign=UNET)
    assert found.settings["arguments"] == SETTINGS
    low = 5000 * images(24, 20, 16)[0, 0].numpy()
    write_image("low.nii.gz", low, GRID)
    words = ["denoise", "low.nii.gz", "-o", "out.nii.gz", "--model", "run/model.pt"]
    assert countless.main([*words, "--network", UNET]) == 0
    denoised = read_image("out.nii.gz", "HFS")[0]
    assert denoised.shape == low.shape
    assert abs(denoised - low).max() > 1


def test_settings_given_as_a_flag_win_over_those_of_the_file_and_are_in_the_command(
    train, tmp_path, capsys
):
    settings = '{"channels": 2}'
    assert train(f"{HERE}:Convolution", {"channels": 3}, "--network-settings", settings) == 0
    found = load_denoiser(tmp_path / "run" / "model.pt", foreign=f"{HERE}:Convolution").settings
    assert found["arguments"] == {"channels": 2}
    assert f"--network-settings '{settings}'" in found["training"]["command"]


@pytest.mark.parametrize(("name", "settings", "more", "said"), [
    (f"{HERE}:Convolution", {"channels": 5}, (), "to have 5 channels"),
    (f"{HERE}:Convolution", {"depth": 5}, (), "unexpected keyword argument 'depth'"),
    ("redcnn", {"channels": 5}, (), "network_settings is a setting of package.module:Class"),
    (f"{HERE}:Convolution", {"channels": 2}, ("--network-settings", "three"),
     "takes settings as `{name: value, other: value}`"),
])
def test_what_makes_no_network_is_refused_before_anything_is_written(
    train, tmp_path, capsys, name, settings, more, said
):
    assert train(name, settings, *more) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_a_module_of_images_alone_is_read_as_it_was_saved(tmp_path):
    name, settings = f"{HERE}:Convolution", {"channels": 2}
    module = network(name, settings).eval()
    save_denoiser(tmp_path / "model.pt",
                  made.denoiser(module, network=name, arguments=settings))
    found = load_denoiser(tmp_path / "model.pt", foreign=name).network
    assert torch.equal(found(images(5, 5, 5), NOISE), module(images(5, 5, 5), NOISE))
