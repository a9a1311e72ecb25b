import numpy as np
from PIL import Image

from jnst.cli.sheet import GAP, contact_sheet


def test_a_sheet_leaves_gaps_where_there_is_no_picture(tmp_path):
    Image.new("RGB", (80, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    sheet = contact_sheet([[None, tmp_path / "a.png"], [tmp_path / "b.png", tmp_path / "a.png"]], 32)
    assert sheet.shape == (1, 82, 82, 3)
    red = sheet[0, :, :, 1] < 0.1
    assert red[:, :40].sum() == 0
    assert red[:, 40:].sum() == 2 * 32 * 16
    rows, columns = np.nonzero(red)
    assert (rows.min(), columns.min()) == (GAP + 8, 2 * GAP + 32)  # in the middle of its cell


def test_a_picture_smaller_than_its_cell_is_not_enlarged(tmp_path):
    Image.new("RGB", (40, 36), "red").save(tmp_path / "a.png")
    red = contact_sheet([[tmp_path / "a.png"]], 160)[0, :, :, 1] < 0.1
    assert red.sum() == 40 * 36
