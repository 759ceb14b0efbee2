"""Sinograms written as CASToR's histograms (`recon.io.castor_histogram` says what they hold)."""

import numpy as np

from recon.io.castor_data import check_header_path, header_text, histogram_record, study
from recon.io.castor_scanner import numbers_of, scanner_files
from recon.io.files import replacing
from recon.io.provenance import sidecar_content, sidecar_path, write_json

_BLOCK_LINES = 1 << 17  # crystal pairs made ready at once


def write_castor_histogram(path, prompts, layout, *, attenuation=None, factors=None, randoms=None,
                           scatter=None, info=None, sidecar=None, watch=None):
    """Write a histogram as CASToR's, with the scanner's files beside it; all of it or nothing.

    Bins become events of as many lines as they have real pairs of crystals; those without any, and
    those whose factors or attenuation are 0, are left out. Counts come back bit for bit. Factors
    and rates do where a 32-bit float has the inverse, or the rate, that gives them back, as all
    that were read from CASToR's files have; else they come back one bit off.

    Args:
        path: header, .cdh; events go to .cdf and provenance to .cdh.json beside it, the scanner to
            .lut and .hscan of its name.
        prompts: counts, float32 of layout.shape.
        layout: SinogramLayout that is not arc-corrected.
        attenuation: what is left of the photon pairs, float32 (view, radial, plane).
        factors: m without attenuation, the same; without them, a bin's number of crystal pairs.
        randoms: expected counts, the same or of layout.shape: CASToR has them evenly in time of
            flight.
        scatter: expected counts, of layout.shape.
        info: dict of facts of the study; of it start_s, duration_s (1 s where it has none),
            isotope, half_life_s, branching_ratio and patient_position are written.
        sidecar: dict of `recon.io.provenance`; without it the .json holds version, unit and date.
        watch: called with the number of views that each step has written.
    Returns:
        dict: bins that were written, bins and prompts left out.
    Raises:
        FileError: the place cannot be written.
        ValueError: arc-corrected bins, an array of another shape, or rates over no time.
    """
    path = check_header_path(path)
    if layout.radial_mm is not None:
        raise ValueError(
            f"CASToR's histograms take bins that follow the crystals, got arc-corrected ones of "
            f"{layout.radial_mm:g} mm; give the sinogram before arc correction"
        )
    info = {"duration_s": 1.0} | dict(info or {})
    flat = layout.without_tof().shape
    arrays = {"prompts": prompts, "attenuation": attenuation, "factors": factors,
              "randoms": randoms, "scatter": scatter}
    shapes = {name: [flat] for name in arrays} | {
        "prompts": [layout.shape], "randoms": [flat, layout.shape], "scatter": [layout.shape]}
    for name, array in arrays.items():
        if array is not None and array.shape not in shapes[name]:
            raise ValueError(
                f"write_castor_histogram takes {name} of shape {shapes[name][0]}, got {array.shape}"
            )
    if not info["duration_s"] > 0 and not (randoms is None and scatter is None):
        raise ValueError(
            f"CASToR's rates of randoms and scatter take a duration above 0 s, got "
            f"{info['duration_s']:g} s; correct the header of the sinogram"
        )
    events = _Events(layout, normalized=factors is not None)
    flags = [name for name, array in (("acf", attenuation), ("random", randoms),
                                      ("scatter", scatter)) if array is not None]
    flags += ["norm"] if events.normalized else []
    record = histogram_record(flags, events.lines, layout.tof_bins)
    name, lut, hscan = scanner_files(layout.scanner)
    data, folder = path.with_suffix(".cdf"), path.parent
    files = [folder / f"{name}.lut", folder / f"{name}.hscan", data, sidecar_path(path), path]
    counts = {"bins": 0, "left_out": 0, "prompts_left_out": 0.0}
    with replacing(*files) as (lut_file, hscan_file, data_file, sidecar_file, header_file):
        with open(data_file, "wb") as file:
            for view in range(layout.views):
                for radial in events.blocks():
                    here = view, radial
                    part = {key: None if array is None else array[here]
                            for key, array in arrays.items()}
                    out = events.of(record, here, part, info, counts)
                    file.write(out.data)
                if watch:
                    watch(1)
        text = header_text(
            "histogram", scanner_name=name, data_name=data.name, events=counts["bins"], info=info,
            lines=events.lines, flags=flags, more=_tof_keys(layout),
            ours=study(info) | {"layout": _layout_facts(layout)},
        )
        lut_file.write_bytes(lut)
        hscan_file.write_bytes(hscan)
        header_file.write_text(text, encoding="utf-8")
        write_json(sidecar_file, sidecar_content(path, sidecar, "counts") | {"written": counts})
    return counts


class _Events:
    """A layout's bins as events.

    Args:
        layout: SinogramLayout.
        normalized: whether there are factors.
    Attributes:
        lines: pairs of crystals of the bin that has most.
        normalized: whether events have a normalization: there are factors, or bins of several
            pairs, which CASToR does not count.
    """

    def __init__(self, layout, normalized):
        self._layout = layout
        crystals, rings = layout.pair_counts()
        self.lines = max(int(crystals.max() * rings.max()), 1)
        self.normalized = normalized or self.lines > 1
        # Another row and column of -1, for what index -1 stands for: no crystal.
        self._numbers = np.pad(numbers_of(layout.scanner).astype(np.int32), ((0, 1), (0, 1)),
                               constant_values=-1)
        self._crystals = layout.crystal_pairs()
        plane, ring1, ring2 = layout.ring_pairs().T
        place = np.arange(len(plane)) - np.searchsorted(plane, plane)
        self._rings = np.full((layout.planes, place.max() + 1, 2), -1, np.int32)
        self._rings[plane, place] = np.stack([ring1, ring2], axis=1)

    def blocks(self):
        """Slices of radial bins that fit into memory."""
        one = self._rings[..., 0].size * len(self._crystals)
        step = max(_BLOCK_LINES // one, 1)
        for start in range(0, self._layout.radial_bins, step):
            yield slice(start, start + step)

    def of(self, record, here, part, info, counts):
        """Events of some bins of a view.

        Args:
            record: dtype.
            here: view, slice of radial bins.
            part: dict of arrays of these bins, (radial, [tof,] plane), or None.
            info: the study's.
            counts: dict to count in.
        """
        pairs, lines = self._pairs(*here)
        duration, keep = np.float32(info["duration_s"]), lines > 0
        for name in ("factors", "attenuation"):
            if part[name] is not None:
                keep &= part[name] > 0
        out = np.zeros(int(np.count_nonzero(keep)), record)
        prompts = _by_bin(part["prompts"])
        counts["bins"] += len(out)
        counts["left_out"] += keep.size - len(out)
        counts["prompts_left_out"] += float(prompts[~keep].sum(dtype=np.float64))
        out["time_ms"] = round(1000 * info.get("start_s", 0))
        # Ours ascend towards crystal 1, CASToR's towards crystal 2.
        out["bins"]["counts"] = prompts[keep][:, ::-1]
        if part["scatter"] is not None:
            scatter = _by_bin(part["scatter"])[keep][:, ::-1]
            out["bins"]["scatter"] = _as_rate(scatter, duration)
        if part["randoms"] is not None:
            randoms = _by_bin(part["randoms"]).sum(axis=2, dtype=np.float64)[keep]
            out["random"] = _as_rate(randoms.astype(np.float32), duration)
        if part["attenuation"] is not None:
            out["acf"] = _inverse(part["attenuation"][keep])
        if self.normalized:
            factors = lines if part["factors"] is None else part["factors"]
            out["norm"] = _inverse(factors[keep].astype(np.float32))
        if self.lines > 1:
            out["lines"] = lines[keep]
        out["pairs"] = pairs[keep]
        return out

    def _pairs(self, view, radial):
        """Crystal numbers (radial, plane, lines, 2), real pairs first, 0 after them; how many."""
        crystals = self._crystals[:, view, radial]  # (mashed views, radial, 2)
        ends = []
        for end in (0, 1):
            ring = self._rings[None, :, :, None, end]
            crystal = crystals[..., end].T[:, None, None, :]
            ends.append(self._numbers[ring, crystal])
        pairs = np.stack(ends, axis=-1).reshape(*ends[0].shape[:2], -1, 2)
        real = (pairs >= 0).all(axis=-1)
        lines = real.sum(axis=-1)
        if (real != (np.arange(real.shape[-1]) < lines[..., None])).any():
            order = np.argsort(~real, axis=-1, kind="stable")
            pairs = np.take_along_axis(pairs, order[..., None], axis=2)
        pairs = pairs[:, :, : self.lines]
        pairs[np.arange(pairs.shape[2]) >= lines[..., None]] = 0
        return pairs, lines


def _by_bin(array):
    """(radial, [tof,] plane) as (radial, plane, tof)."""
    return np.moveaxis(array, 1, 2) if array.ndim == 3 else array[..., None]


def _as_rate(counts, duration):
    return _nearest(counts, counts / duration, lambda rate: rate * duration)


def _inverse(factors):
    return _nearest(factors, 1 / factors, lambda inverse: 1 / inverse)


def _nearest(values, found, back):
    """What gives the values back to the last bit, found or next to it; else what was found."""
    for towards in (np.inf, 0):
        other = np.nextafter(found, np.float32(towards))
        with np.errstate(divide="ignore", over="ignore"):
            better = (back(found) != values) & (back(other) == values)
        found = np.where(better, other, found)
    return found


def _tof_keys(layout):
    if not layout.tof:
        return []
    return [
        ("TOF information flag", 1),
        ("TOF resolution (ps)", repr(layout.scanner.timing_resolution_ps)),
        ("Histo TOF number of bins", layout.tof_bins),
        ("Histo TOF bin size (ps)", repr(layout.tof_mashing * layout.scanner.tof_bin_ps)),
    ]


def _layout_facts(layout):
    return {
        "views": layout.views,
        "radial_bins": layout.radial_bins,
        "view_mashing": layout.view_mashing,
        "tof_mashing": layout.tof_mashing,
        "segments": [(s.min_ring_difference, s.max_ring_difference, s.planes)
                     for s in layout.segments],
    }
