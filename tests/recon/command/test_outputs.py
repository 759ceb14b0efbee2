"""What `countless recon` writes, and when it writes nothing."""

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from recon.io import read_image, read_sinogram, write_sinogram
from recon.io.provenance import read_sidecar
from recon.measurement import Measurement
from recon.operators import GaussianBlur
from recon.plan import Plan
from recon.reconstruction import Pass, post_filter
from tests.files import contents
from tests.recon.cases import MACHINES
from tests.recon.command.conftest import GRID

ROOT = Path(__file__).resolve().parents[3]


def values(path):
    return read_image(path)[0]


def test_passes_are_kept_beside_the_output(recon, scan):
    recon("image.nii.gz", "--save-every", 2, iterations=5)
    kept = sorted(path.name for path in scan.glob("image*.nii.gz"))
    assert kept == ["image.nii.gz", "image.pass2.nii.gz", "image.pass4.nii.gz"]
    assert len(read_sidecar(scan / "image.pass2.nii.gz")["passes"]) == 2
    two = recon("two.nii.gz", iterations=2)
    assert np.array_equal(values(two), values(scan / "image.pass2.nii.gz"))


def test_a_pass_from_the_image_of_one_pass_is_the_second(recon):
    first = recon("first.hv")
    second = recon("second.hv", "--start", first)
    assert np.allclose(values(second), values(recon("both.hv", iterations=2)), rtol=1e-5)


def test_a_kept_pass_says_which_it_is(recon, scan):
    recon("image.nii.gz", "--save-every", 2, iterations=3)
    said = [read_sidecar(scan / name) for name in ("image.pass2.nii.gz", "image.nii.gz")]
    assert [(one["pass"], one["algorithm"]) for one in said] == [
        (2, "OSEM 2 × 16"), (3, "OSEM 3 × 16")
    ]


def test_settings_left_open_are_told_as_they_were_settled(recon, scan):
    said = read_sidecar(recon("image.nii.gz"))
    assert (said["configuration"]["subsets"], said["subsets"]) == (None, 16)
    assert said["scanner"] == "tiny"
    assert said["tof_sigmas"] is None


def test_the_efficiencys_unit_is_the_images(recon, run, scan):
    array, layout, info = read_sinogram(scan / "efficiency.hs")
    write_sinogram(scan / "calibrated.hs", array, layout, info | {"unit": "kBq/mL"})
    output = recon("image.nii.gz", "--efficiency", scan / "calibrated.hs")
    said = read_sidecar(output)
    assert said["unit"] == "kBq/mL"
    assert said["quantity"].startswith(f"kBq/mL, as {scan / 'calibrated.hs'} says")
    assert "unit kBq/mL" in " ".join(run("info", output).out.split())
    assert "kBq/mL, of images" in " ".join(run("info", scan / "calibrated.hs").out.split())


def test_an_interfile_output_says_that_it_leaves_a_niftis_index_order(run, scan):
    nibabel.save(nibabel.Nifti1Image(np.zeros(GRID.shape, np.float32), GRID.affine),
                 scan / "like.nii")
    result = run("recon", scan / "prompts.hs", "-o", scan / "image.hv", "--iterations", 1,
                 "--grid-like", scan / "like.nii")
    assert "but not its index order and affine" in " ".join(result.out.split())


def test_post_filter_leaves_a_uniform_image_alone_up_to_its_ends(scan, tmp_path):
    plan = Plan(
        measurement=Measurement(scan=scan / "prompts.hs"), output=tmp_path / "x.nii", grid=GRID,
        subsets=1, post_filter_mm=(10.0, 10.0, 10.0),
    )
    image = np.full(GRID.shape, 3, np.float32)
    assert np.allclose(post_filter(plan.blur(plan.post_filter_mm))(image), 3, rtol=1e-6)


def test_post_filter_smooths_what_is_written_and_not_what_is_iterated(recon):
    blur = GaussianBlur(GRID.shape, GRID.voxel_mm, 10)
    plain = values(recon("plain.hv", iterations=2))
    filtered = values(recon("filtered.hv", "--post-filter-mm", 10, iterations=2))
    assert np.allclose(filtered, blur(plain) / blur(np.ones_like(plain)), rtol=1e-5)


def test_a_psf_takes_one_value_or_three(recon):
    one = values(recon("one.hv", "--psf-mm", 6))
    assert np.array_equal(one, values(recon("three.hv", "--psf-mm", 6, 6, 6)))
    assert not np.allclose(one, values(recon("none.hv")))


def test_the_sidecar_says_unit_inputs_counts_and_a_command_that_does_it_again(
    recon, run, scan, monkeypatch
):
    files = ["--efficiency", scan / "efficiency.hs", "--mu-map", scan / "mu.hv"]
    output = recon("image.nii.gz", *files, "--psf-mm", 5, "--no-tof")
    said = json.loads((scan / "image.json").read_text())
    assert said["unit"] == "counts/mm"
    assert "not calibrated" in said["quantity"]
    names = [Path(entry["path"]).name for entry in said["inputs"]]
    assert names[:5] == ["prompts.hs", "prompts.s", "efficiency.hs", "efficiency.s", "mu.hv"]
    assert said["counts"]["prompts"] > 1e4
    assert said["counts"]["masked_bins"] == 16 * 1 * 19
    assert said["factors"][1] == f"attenuation from {scan / 'mu.hv'}, at most 0.096 1/cm"
    before = values(output)
    output.unlink()
    assert run(*shlex.split(said["command"])[1:]).code == 0
    assert np.array_equal(values(output), before)


def test_the_command_says_beforehand_what_it_will_do(run, scan):
    result = run("recon", scan / "prompts.hs", "-o", scan / "x.nii", "--iterations", 1,
                 "--efficiency", scan / "efficiency.hs", "--mu-map", scan / "mu.hv")
    said = " ".join(result.out.split())
    assert "16 views × 23 radial bins × 19 planes (span 1, 5 segments" in said
    assert "efficiency.hs must not hold attenuation: --mu-map applies it" in said
    assert "voxels of 4 × 4 × 4 mm" in said
    assert "OSEM, 1 pass over 16 subsets in spread order" in said
    assert f"device {MACHINES[-1]} (" in said
    assert "GiB needed" in said
    assert "head first, supine (HFS): x to left, y to posterior, z to inferior" in said


def test_grid_like_a_nifti_gives_its_index_order_shape_and_affine(recon, run, scan):
    order = [2, 0, 1]
    affine = GRID.affine[:, [*order, 3]]
    affine[:3, 3] += affine[:3, 1] * (GRID.shape[0] - 1)
    affine[:3, 1] *= -1
    shape = tuple(GRID.shape[axis] for axis in order)
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.float32), affine), scan / "like.nii")
    plain = recon("plain.nii.gz")
    output = scan / "image.nii.gz"
    result = run("recon", scan / "prompts.hs", "-o", output, "--iterations", 1,
                 "--grid-like", scan / "like.nii")
    assert result.code == 0, result.err
    image = nibabel.load(output)
    assert np.allclose(image.affine, affine)
    expected = values(plain).transpose(order)[:, ::-1]
    assert image.shape == shape
    assert np.allclose(image.get_fdata(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["view.png", "view.pdf"])
def test_a_preview_is_drawn(recon, scan, name):
    recon("image.nii.gz", "--preview", scan / name)
    assert (scan / name).stat().st_size > 10_000


def test_a_failure_while_iterating_leaves_the_old_output_alone(run, scan, monkeypatch):
    def broken(*_):
        yield Pass(number=1, image=np.ones(GRID.shape, np.float32), change=None, last=False,
                   settled={})
        raise KeyboardInterrupt

    monkeypatch.setattr("recon.command.reconstruct", broken)
    (scan / "image.nii.gz").write_text("old")
    result = run("recon", scan / "prompts.hs", "-o", scan / "image.nii.gz", "--iterations", 2)
    assert result.code == 130
    assert "interrupted; no file was left half written" in result.err
    assert (scan / "image.nii.gz").read_text() == "old"
    assert not (scan / "image.json").exists()


def heed_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_a_run_without_output_or_traceback(scan):
    before = contents(scan)
    command = [sys.executable, "-m", "countless", "recon", str(scan / "prompts.hs"), "-o",
               str(scan / "image.nii.gz"), "--iterations", "1000000"]
    # A shell that runs the tests in the background makes them ignore what Ctrl-C sends.
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, preexec_fn=heed_interrupts) as process:
        try:
            process.stdout.readline()
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in error
    assert contents(scan) == before
