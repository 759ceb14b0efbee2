"""Segments of a sinogram: the planes that share a range of ring differences."""

from dataclasses import dataclass

import numpy as np

ORDERS = ("0,-1,+1", "0,+1,-1", "-1,0,+1")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Planes whose ring pairs have ring2 - ring1 within a range (Siemens's and STIR's segment).

    Attributes:
        min_ring_difference: the smallest ring2 - ring1.
        max_ring_difference: the largest.
        planes: number of planes, centred on the scanner.
    """

    min_ring_difference: int
    max_ring_difference: int
    planes: int

    def __post_init__(self):
        for name in ("min_ring_difference", "max_ring_difference", "planes"):
            object.__setattr__(self, name, int(getattr(self, name)))
        if self.min_ring_difference > self.max_ring_difference:
            raise ValueError(
                f"Segment takes min_ring_difference <= max_ring_difference, got "
                f"{self.min_ring_difference} and {self.max_ring_difference}"
            )
        if self.planes < 1:
            raise ValueError(f"Segment takes at least 1 plane, got {self.planes}")

    @property
    def step(self):
        """How much ring1 + ring2 grows from plane to plane: 2 for one ring difference, else 1."""
        return 2 if self.min_ring_difference == self.max_ring_difference else 1

    @property
    def mean_ring_difference(self):
        """Middle of the range; the slope at which the whole segment is projected."""
        return (self.min_ring_difference + self.max_ring_difference) / 2

    def full_planes(self, rings):
        """Number of distinct ring1 + ring2 in this range of ring differences."""
        return full_planes(rings, self.min_ring_difference, self.max_ring_difference)

    def first_ring_sum(self, rings):
        """ring1 + ring2 of the first plane: planes are centred on the scanner."""
        return rings - 1 - (self.planes - 1) * self.step // 2


def full_planes(rings, min_ring_difference, max_ring_difference):
    """Number of distinct ring1 + ring2 of pairs with ring differences in this range."""
    if min_ring_difference == max_ring_difference:
        return rings - abs(min_ring_difference)
    inside = min_ring_difference <= 0 <= max_ring_difference
    nearest = 0 if inside else min(abs(min_ring_difference), abs(max_ring_difference))
    return 2 * (rings - nearest) - 1


def segments_of(rings, span=1, max_ring_difference=None, order=ORDERS[0]):
    """All segments of a span, whole, each with all its planes.

    Args:
        rings: rings of the scanner.
        span: number of ring differences per segment, odd.
        max_ring_difference: default rings - 1; the outermost segments end there, be it early.
        order: how the segments follow each other: "0,-1,+1" and on to -2, +2 (Siemens),
            "0,+1,-1" (Siemens with time of flight) or "-1,0,+1", ascending (STIR's files).
    Returns:
        Tuple of Segment.
    Raises:
        ValueError: an even span, a ring difference beyond the rings or an unknown order.
    """
    if max_ring_difference is None:
        max_ring_difference = rings - 1
    if span < 1 or span % 2 == 0:
        raise ValueError(
            f"span takes an odd number from 1, got {span}; give the segments themselves for others"
        )
    if not 0 <= max_ring_difference < rings:
        raise ValueError(
            f"max_ring_difference takes 0 to {rings - 1} (the scanner has {rings} rings), "
            f"got {max_ring_difference}"
        )
    if order not in ORDERS:
        raise ValueError(f"order takes one of {', '.join(map(repr, ORDERS))}, got {order!r}")
    half = span // 2
    number = (max_ring_difference + half) // span
    positive = range(1, number + 1)
    ranks = {
        ORDERS[0]: [0, *(rank for k in positive for rank in (-k, k))],
        ORDERS[1]: [0, *(rank for k in positive for rank in (k, -k))],
        ORDERS[2]: range(-number, number + 1),
    }[order]
    segments = []
    for rank in ranks:
        low = max(rank * span - half, -max_ring_difference)
        high = min(rank * span + half, max_ring_difference)
        segments.append(
            Segment(min_ring_difference=low, max_ring_difference=high,
                    planes=full_planes(rings, low, high))
        )
    return tuple(segments)


def check_segments(rings, segments):
    """Whether segments fit a scanner's rings and each other.

    Raises:
        ValueError: none, a ring difference beyond the rings or in two segments, or planes that
            no ring pairs have.
    """
    if not segments:
        raise ValueError("SinogramLayout takes at least one Segment, got none")
    taken = {}
    for segment in segments:
        low, high = segment.min_ring_difference, segment.max_ring_difference
        if max(-low, high) >= rings:
            raise ValueError(
                f"SinogramLayout takes ring differences below the scanner's {rings} rings, "
                f"got {segment}"
            )
        full = segment.full_planes(rings)
        # Centred planes half a step off the rings' raster would hold no ring pair.
        if segment.planes > full or (full - segment.planes) % 2:
            raise ValueError(
                f"SinogramLayout takes {full} planes for ring differences {low} to {high} of "
                f"{rings} rings, or fewer by an even number (planes are centred), got "
                f"{segment.planes}"
            )
        for difference in range(low, high + 1):
            if difference in taken:
                raise ValueError(
                    "SinogramLayout takes segments without common ring differences, got "
                    f"{difference} in both {taken[difference]} and {segment}"
                )
            taken[difference] = segment


def ring_pairs(rings, segments):
    """All ring pairs of all planes, planes numbered through the segments.

    Args:
        rings: rings of the scanner.
        segments: of a layout, without common ring differences.
    Returns:
        int32 (pairs, 3): plane, ring1, ring2, by ascending plane, then ring1.
    """
    none = len(segments)
    segment_of = np.full(2 * rings - 1, none)
    for index, segment in enumerate(segments):
        low, high = segment.min_ring_difference, segment.max_ring_difference
        segment_of[low + rings - 1 : high + rings] = index
    planes = np.array([segment.planes for segment in segments])
    first = np.concatenate([[0], np.cumsum(planes)])[:-1]
    first_sum = np.array([segment.first_ring_sum(rings) for segment in segments])
    step = np.array([segment.step for segment in segments])

    ring1, ring2 = (ring.ravel() for ring in np.indices((rings, rings)))
    index = segment_of[ring2 - ring1 + rings - 1]
    ring1, ring2, index = (array[index < none] for array in (ring1, ring2, index))
    plane = (ring1 + ring2 - first_sum[index]) // step[index]
    inside = (plane >= 0) & (plane < planes[index])
    pairs = np.stack([plane + first[index], ring1, ring2], axis=1)[inside]
    return pairs[np.argsort(pairs[:, 0], kind="stable")].astype(np.int32)
