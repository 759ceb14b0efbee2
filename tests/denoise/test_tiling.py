"""Tiles, and what is left of the seams between them."""

import itertools

import numpy as np
import pytest
import torch

from denoise.tiling import Tiling, tiled
from tests.denoise.made import Box, stirred

SHAPES = ((1, 1, 1), (128, 20, 40), (129, 30, 200), (200, 200, 127), (137, 144, 555))


def applied(network):
    def function(part):
        with torch.inference_mode():
            return network(torch.from_numpy(part)[None], torch.tensor([0.1]))[0, 0].numpy()

    return function


def volume(*shape):
    """Whole numbers, whose sums are exact in float32."""
    return np.random.default_rng(1).integers(0, 10, (1, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tiling", [Tiling(), Tiling(size=48, margin=5, ramp=0, aligned=8),
                                    Tiling(size=64, margin=0, ramp=9, aligned=4)])
def test_weights_sum_to_one_along_each_axis(shape, tiling):
    for axis, length in enumerate(shape):
        tiles = {(box[axis].start, box[axis].stop): weights[axis]
                 for box, weights in tiling.tiles(shape)}
        total = np.zeros(length)
        for (start, stop), weights in tiles.items():
            total[start:stop] += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_tile_is_larger_than_asked_and_each_begins_where_voxels_are_pooled(shape):
    for box, _ in Tiling(size=96).tiles(shape):
        assert all(part.stop - part.start <= 96 and part.start % 16 == 0 for part in box)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_counts_that_is_nearer_to_an_inner_face_than_the_margin(shape):
    tiling = Tiling(size=96, margin=9)
    for box, weights in tiling.tiles(shape):
        for part, along, length in zip(box, weights, shape, strict=True):
            assert part.start == 0 or not along[:9].any()
            assert part.stop == length or not along[-9:].any()


def test_a_network_that_looks_as_far_as_the_margin_sees_no_tiles():
    whole, tiling = volume(70, 41, 37), Tiling(size=24, margin=3, ramp=4, aligned=8)
    assert len(tiling.tiles(whole.shape[1:])) > 20
    found = tiled(applied(Box()), whole, tiling)
    np.testing.assert_allclose(found, applied(Box())(whole), rtol=3e-7)


def test_a_network_that_looks_farther_than_the_margin_sees_them():
    whole = volume(70, 41, 37)
    found = tiled(applied(Box()), whole, Tiling(size=24, margin=2, ramp=4, aligned=8))
    assert np.abs(found / applied(Box())(whole) - 1).max() > 0.01


@pytest.mark.parametrize("keeps", ["nothing", "counts"])
def test_seams_of_a_u_net_are_a_hundred_thousandth_of_what_it_changes(keeps):
    network, whole = stirred(keeps=keeps).network, volume(100, 32, 24) / 10
    straight = applied(network)(whole)
    found = tiled(applied(network), whole, Tiling(size=64))
    assert np.abs(found - straight).max() < 1e-5 * np.abs(straight - whole[0]).max()


def test_tiles_that_begin_elsewhere_would_show_seams():
    network, whole = stirred().network, volume(103, 32, 24) / 10
    straight = applied(network)(whole)
    found = tiled(applied(network), whole, Tiling(size=65, aligned=1))
    assert np.abs(found - straight).max() > 1e-4 * np.abs(straight - whole[0]).max()


def test_a_network_that_keeps_counts_keeps_them_over_tiles():
    network, whole = stirred(keeps="counts").network, volume(100, 32, 24)
    found = tiled(applied(network), whole, Tiling(size=64))
    assert found.sum(dtype=float) == pytest.approx(whole.sum(dtype=float), rel=1e-6)


def test_each_tile_is_told_of():
    told = itertools.count()
    tiling = Tiling(size=24, margin=3, ramp=4, aligned=8)
    tiled(applied(Box()), volume(70, 10, 10), tiling, lambda: next(told))
    assert next(told) == len(tiling.tiles((70, 10, 10)))


@pytest.mark.parametrize("changes", [{"size": 55}, {"margin": -1}, {"aligned": 0}])
def test_a_tile_in_which_nothing_is_left_is_refused(changes):
    with pytest.raises(ValueError, match="Tiling takes a size of 2 margin"):
        Tiling(**changes)
