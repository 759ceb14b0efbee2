"""Tiles, and what is left of the seams between them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from denoise.networks import NETWORKS
from denoise.tiling import Tiling, tiled
from tests.denoise.made import Box, stirred

SHAPES = ((1, 1, 1), (88, 20, 40), (200, 200, 127), (137, 144, 555))
TILINGS = (Tiling(), Tiling(voxels=88**3), Tiling(voxels=24**3, margin=5, ramp=0, aligned=8),
           Tiling(voxels=50**3, margin=0, ramp=9, aligned=4))
SMALL = Tiling(voxels=6000, margin=3, ramp=4, aligned=8)


def applied(network):
    def function(part):
        with torch.inference_mode():
            return network(torch.from_numpy(part)[None], torch.tensor([0.1]))[0, 0].numpy()

    return function


def volume(*shape):
    """Whole numbers, whose sums are exact in float32."""
    return np.random.default_rng(1).integers(0, 10, (1, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tiling", TILINGS)
def test_weights_sum_to_one_along_each_axis(shape, tiling):
    tiles = tiling.tiles(shape)
    for axis, length in enumerate(shape):
        parts = {(box[axis].start, box[axis].stop): weights[axis] for box, weights in tiles}
        total = np.zeros(length)
        for (start, stop), weights in parts.items():
            total[start:stop] += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tiling", TILINGS)
def test_no_tile_is_larger_than_asked_and_each_begins_where_voxels_are_pooled(shape, tiling):
    for box, _ in tiling.tiles(shape):
        assert np.prod([part.stop - part.start for part in box]) <= tiling.voxels
        assert all(part.start % tiling.aligned == 0 for part in box)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tiling", TILINGS[1:3])
def test_nothing_counts_that_is_nearer_to_an_inner_face_than_the_margin(shape, tiling):
    for box, weights in tiling.tiles(shape):
        for part, along, length in zip(box, weights, shape, strict=True):
            assert part.start == 0 or not along[: tiling.margin].any()
            assert part.stop == length or not along[-tiling.margin :].any()


def test_a_volume_that_fits_is_one_tile_and_a_long_one_is_cut_across_its_length():
    assert len(Tiling().tiles((200, 200, 127))) == 1
    ends = [part.stop for (_, _, part), _ in Tiling().tiles((100, 100, 900))]
    assert ends == [488, 900]  # (900 - 72) / 2 = 414, in sixteens 416, and 72 beyond


def test_a_network_that_looks_as_far_as_the_margin_sees_no_tiles():
    whole = volume(70, 41, 37)
    assert len(SMALL.tiles(whole.shape[1:])) > 20
    found = tiled(applied(Box()), whole, SMALL)
    np.testing.assert_allclose(found, applied(Box())(whole), rtol=3e-7)


def test_a_network_that_looks_farther_than_the_margin_sees_them():
    whole = volume(70, 41, 37)
    found = tiled(applied(Box()), whole, replace(SMALL, margin=2))
    assert np.abs(found / applied(Box())(whole) - 1).max() > 0.01


LONG = 160, 24, 20  # the networks look 20 to 25 voxels far, and move counts by 7
CUT = Tiling(voxels=105 * 24 * 20, margin=32)


def seams(network, inputs, tiling):
    """How far tiles are from the whole at most, as a part of its largest value."""
    whole = np.concatenate([volume(*LONG) / 10] * inputs)
    straight = applied(network)(whole)
    return np.abs(tiled(applied(network), whole, tiling) - straight).max() / np.abs(straight).max()


@pytest.mark.parametrize(("name", "settings"), [
    ("unet", {}), ("unet", {"keeps": "counts"}), ("unet", {"inputs": 2, "fusion": "intermediate"}),
    ("unet", {"inputs": 2, "fusion": "late"}), ("redcnn", {}), ("nafnet", {}),
    ("redcnn", {"dimensions": 2}), ("nafnet", {"dimensions": 2}),
], ids=str)
def test_no_network_sees_tiles(name, settings):
    assert len(CUT.tiles(LONG)) > 1
    network = stirred(name, **settings).network
    assert seams(network, settings.get("inputs", 1), CUT) < 1e-5


@pytest.mark.parametrize(("name", "tiling"), [
    *((name, replace(CUT, margin=4)) for name in NETWORKS),
    ("unet", replace(CUT, aligned=1)), ("nafnet", replace(CUT, aligned=1)),
])
def test_networks_see_tiles_of_less_margin_and_those_that_begin_elsewhere(name, tiling):
    assert seams(stirred(name).network, 1, tiling) > 1e-3


def test_a_network_that_keeps_counts_keeps_them_over_tiles():
    network, whole = stirred(keeps="counts").network, volume(*LONG)
    found = tiled(applied(network), whole, CUT)
    assert found.sum(dtype=float) == pytest.approx(whole.sum(dtype=float), rel=1e-6)


def test_each_tile_is_told_of():
    told = itertools.count()
    tiled(applied(Box()), volume(70, 10, 10), SMALL, lambda: next(told))
    assert next(told) == len(SMALL.tiles((70, 10, 10)))


@pytest.mark.parametrize("changes", [{"ramp": -1}, {"margin": -1}, {"aligned": 0}])
def test_margins_that_are_none_are_refused(changes):
    with pytest.raises(ValueError, match="Tiling takes margin and ramp from 0"):
        Tiling(**changes)


def test_tiles_in_which_nothing_is_left_are_refused_with_what_they_take():
    with pytest.raises(ValueError, match="200 × 200 × 40 voxels takes 309760 at least"):
        Tiling(voxels=88 * 88 * 40 - 1).tiles((200, 200, 40))
    assert Tiling(voxels=88 * 88 * 40).tiles((200, 200, 40))
