import numpy as np
from PIL import Image

from benchmarks.people_sheet import contact_sheet
from recon import Grid


def test_a_sheet_shows_hot_black_and_bone_white_for_each_person(tmp_path):
    grid = Grid.centred(shape=(20, 12, 30), voxel_mm=(6, 6, 6))
    activity, hu = np.zeros(grid.shape, np.float32), np.full(grid.shape, -1000, np.float32)
    activity[4:8, 4:8, 5:12], hu[12:16, 4:8, 5:25] = 20.0, 1000.0
    people = [(f"person {n}", {"activity": activity, "hu": hu}, grid) for n in (1, 2, 3)]
    contact_sheet(tmp_path / "sheet.png", people, columns=2)
    picture = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    # Two rows of a title, 60 pixels of 3 mm along z, and a gap.
    assert picture.shape[0] == 2 * (22 + 60 + 4)
    first = picture[22:82, :40]
    assert first[10:24, 8:16].max() < 40 and first[:, 20:].min() > 200
    bone = picture[22:82, 42:82]
    assert bone[12:48, 26:30].min() > 200 and bone[:, :20].max() < 40
