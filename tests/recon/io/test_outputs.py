from pathlib import Path

import pytest

from recon.io import FileError, check_output, sidecar_path
from recon.io.provenance import write_json


@pytest.mark.parametrize("name", ["image.nii.gz", "image.nii", "image.hv", "image.hs"])
def test_the_sidecar_of_an_image_is_its_name_in_json(name):
    assert sidecar_path(Path("out") / name) == Path("out/image.json")


def test_only_the_last_suffix_of_a_name_is_replaced():
    assert sidecar_path("scan.v2.hv") == Path("scan.v2.json")


@pytest.mark.parametrize("name", ["scan.hs", "link.hs", "hard.hs", "../{folder}/scan.hs"])
def test_an_output_that_is_an_input_is_refused_under_any_name(tmp_path, sinogram_header, name):
    path = sinogram_header()
    (tmp_path / "link.hs").symlink_to(path)
    (tmp_path / "hard.hs").hardlink_to(path)
    output = tmp_path / name.format(folder=tmp_path.name)
    with pytest.raises(FileError, match=r"would overwrite the input .*scan\.hs"):
        check_output(output, inputs=[path])


def test_an_output_whose_data_are_an_inputs_is_refused(tmp_path, sinogram_header):
    path = sinogram_header({"name of data file": "image.v"})
    (tmp_path / "image.v").write_bytes(b"data")
    with pytest.raises(FileError, match=r"image\.hv would overwrite the input .*image\.v"):
        check_output(tmp_path / "image.hv", inputs=[path])


def test_an_output_beside_its_inputs_is_welcome(tmp_path, sinogram_header):
    check_output(tmp_path / "image.nii.gz", inputs=[sinogram_header(data=b"data")])


@pytest.mark.parametrize("said", [{"file": "scan.hs"}, {"seed": 1}])
@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.hv"])
def test_an_output_whose_sidecar_is_an_inputs_is_refused(tmp_path, sinogram_header, name, said):
    path = sinogram_header(data=b"data")
    write_json(tmp_path / "scan.json", said)
    message = rf"{name} would overwrite the input .*scan\.json, which belongs to .*scan\.hs; give"
    with pytest.raises(FileError, match=message):
        check_output(tmp_path / name, inputs=[path])


def test_an_output_may_be_written_again_beside_an_input_of_its_stem(tmp_path, sinogram_header):
    path = sinogram_header(data=b"data")
    write_json(tmp_path / "scan.json", {"file": "scan.nii.gz"})
    check_output(tmp_path / "scan.nii.gz", inputs=[path])


def test_a_picture_and_a_file_of_settings_have_no_sidecar(tmp_path, sinogram_header):
    path = sinogram_header(data=b"data")
    write_json(tmp_path / "scan.json", {"file": "scan.hs"})
    check_output(tmp_path / "scan.png", inputs=[path])
    (tmp_path / "scan.hs").unlink()
    check_output(tmp_path / "scan.nii", inputs=[tmp_path / "scan.yaml"])


def test_an_output_that_would_take_anothers_sidecar_is_refused(tmp_path):
    write_json(tmp_path / "scan.json", {"file": "scan.hs"})
    check_output(tmp_path / "scan.nii.gz")  # the sinogram is gone
    (tmp_path / "scan.hs").write_text("")
    message = r"scan\.nii\.gz would replace .*scan\.json, which says how .*scan\.hs was made"
    with pytest.raises(FileError, match=message):
        check_output(tmp_path / "scan.nii.gz")
    check_output(tmp_path / "scan.hs")
    check_output(tmp_path / "scan.png")


@pytest.mark.parametrize("name", ["scan.petsird", "scan.bin", "scan.cdh"])
def test_a_lists_sidecar_is_guarded_as_the_list(tmp_path, name):
    (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(FileError, match=rf"would overwrite the input .*{name}\.json"):
        check_output(tmp_path / name, inputs=[tmp_path / f"{name}.json"])
    (tmp_path / f"{name}.json").unlink()
    (tmp_path / f"{name}.json").mkdir()
    with pytest.raises(FileError, match=rf"{name}\.json cannot be written: it is a folder"):
        check_output(tmp_path / name)


@pytest.mark.parametrize("said", ["there/scan.hs", "/no/such/folder/scan.hs", "./scan.hs"])
def test_of_a_path_in_a_sidecar_the_name_counts(tmp_path, said):
    write_json(tmp_path / "scan.json", {"file": said})
    check_output(tmp_path / "scan.nii.gz")
    (tmp_path / "scan.hs").write_text("")
    with pytest.raises(FileError, match=r"which says how .*scan\.hs was made"):
        check_output(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("said", ["", ".", "/", "scan.nii.gz", None, 5])
def test_a_sidecar_that_names_no_other_file_is_no_obstacle(tmp_path, said):
    write_json(tmp_path / "scan.json", {"file": said})
    check_output(tmp_path / "scan.nii.gz")


def test_an_output_in_no_folder_is_refused(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        check_output(tmp_path / "absent" / "image.nii")
