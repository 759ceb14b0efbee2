"""What a reconstruction will do, settled from headers and told before the work starts."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from recon import memory, text
from recon.field_of_view import same_place
from recon.grid import Grid
from recon.io import FileError, check_counts, check_output, read_image
from recon.io.image import is_interfile
from recon.measurement import Measurement
from recon.operators import GaussianBlur

SUBSETS = 21
SENSITIVITY_BYTES = 2 * memory.GIB
PICTURES = (".jpg", ".pdf", ".png", ".svg")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A reconstruction by OSEM, checked as far as headers tell.

    Attributes:
        measurement: Measurement.
        output: image to write.
        grid: Grid of the image.
        frame: index order and affine for the output, see `recon.io.like`; or None.
        start: first image; None for 1 in a cylinder.
        subsets, iterations, order: of OSEM; iterations are passes over all subsets.
        psf_mm, post_filter_mm: FWHM along x, y, z; 0 for none.
        save_every: passes between images that are kept; None for the last alone.
        preview: picture to draw, or None.
        device, device_reason: 'cpu' or 'cuda', and why.
        inputs: all files that are read, which no output may replace.
    Raises:
        FileError, ValueError: something does not fit; nothing has been done yet.
    """

    measurement: Measurement
    output: Path
    grid: Grid
    frame: object = None
    start: Path | None = None
    subsets: int
    iterations: int = 3
    order: str = "spread"
    psf_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    post_filter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    save_every: int | None = None
    preview: Path | None = None
    device: str = "cpu"
    device_reason: str = ""
    inputs: tuple[Path, ...] = ()

    def __post_init__(self):
        views = self.measurement.layout.views
        if self.subsets < 1 or views % self.subsets:
            raise ValueError(
                f"--subsets takes a divisor of the scan's {views} views, got {self.subsets}; "
                f"the nearest is {divisor_nearest(views, self.subsets)}"
            )
        for name in ("iterations", "save_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} takes 1 or more, got {value}")
        self._check_mu_map()
        self._check_outputs()
        self._check_memory()

    def _check_mu_map(self):
        mu_map = self.measurement.mu_map
        if mu_map is None:
            return
        theirs, mine = self.measurement.mu_grid().extent, self.grid.extent
        for axis, (low, high), (first, last) in zip("xyz", theirs, mine, strict=True):
            if high <= first or low >= last:
                raise FileError(
                    f"{mu_map} lies at {axis} from {low:g} to {high:g} mm and does not overlap the "
                    f"image, {first:g} to {last:g} mm; 0 is the scanner's centre"
                )

    def _check_outputs(self):
        for number in self.kept_passes:
            path = self.image_path(number)
            is_interfile(path)  # refuses a name that is no image's
            check_output(path, self.inputs)
        if self.preview:
            if self.preview.suffix not in PICTURES:
                raise FileError(
                    f"--preview takes a name that ends in {', '.join(PICTURES)}, got {self.preview}"
                )
            check_output(self.preview, self.inputs)

    def _check_memory(self):
        free = memory.available(self.device)
        if self.memory_needed > free:
            sinograms = memory.in_gib(4 * sum(self.measurement.sizes()))
            remedy = "larger voxels (--voxel-mm) or a machine with more memory"
            if self.measurement.layout.tof:
                remedy = f"a file whose time of flight is summed or mashed, {remedy}"
            elif self.device == "cuda":
                remedy = f"--device cpu, {remedy}"
            raise ValueError(
                f"the reconstruction takes {memory.in_gib(self.memory_needed)} of memory, "
                f"{sinograms} of it for sinograms, where {memory.in_gib(free)} are free on the "
                f"{self.device}; use {remedy}"
            )

    @property
    def kept_passes(self):
        """The passes after which an image is written; the last one's is the output."""
        every = self.save_every or self.iterations
        return [*range(every, self.iterations, every), self.iterations]

    def image_path(self, number):
        """Where the image after a pass goes: image.pass2.nii.gz, and image.nii.gz for the last."""
        if number == self.iterations:
            return self.output
        name = self.output.name
        suffix = next((s for s in (".nii.gz", ".nii", ".hv") if name.endswith(s)), "")
        return self.output.with_name(f"{name.removesuffix(suffix)}.pass{number}{suffix}")

    @property
    def memory_needed(self):
        """Bytes without sensitivity images, which are kept as far as memory goes."""
        return memory.needed(
            arrays=self.measurement.sizes(),
            bins=math.prod(self.measurement.layout.shape),
            subsets=self.subsets,
            voxels=math.prod(self.grid.shape),
        )

    @cached_property
    def sensitivity_bytes(self):
        """Bytes for sensitivity images; those that do not fit are computed anew in each pass."""
        wanted = self.subsets * self._image_bytes
        free = memory.available(self.device) - self.memory_needed
        return min(wanted, SENSITIVITY_BYTES, max(free, 0))

    @property
    def _image_bytes(self):
        return 4 * math.prod(self.grid.shape)

    def blur(self, fwhm_mm):
        """GaussianBlur of the image, None for widths of 0."""
        if not any(fwhm_mm):
            return None
        return GaussianBlur(self.grid.shape, self.grid.voxel_mm, fwhm_mm)

    def start_image(self):
        """First image (x, y, z), float32: that of `start`, or 1 in a cylinder and 0 outside it."""
        if self.start is None:
            inside = np.broadcast_to(self.grid.cylinder(), self.grid.shape)
            return inside.astype(np.float32)
        image, grid, _ = read_image(self.start, self.grid.patient_position)
        if not same_place(grid, self.grid):
            raise FileError(
                f"{self.start} has {text.grid(grid)}, where the image has {text.grid(self.grid)}; "
                f"resample it, or use --grid-like {self.start}"
            )
        check_counts(image, self.start, "activity", axes=("x", "y", "z"))
        return image

    def __str__(self):
        return text.table([*self._rows(), *(("note", note) for note in self._notes())])

    def _rows(self):
        files, layout = self.measurement, self.measurement.layout
        yield "scan", f"{files.scan} ({text.number_type(files.info['number_type'])})"
        yield "scanner", text.scanner(layout.scanner)
        yield "layout", text.layout(layout)
        if layout.tof:
            yield "TOF", text.time_of_flight(layout)
        yield "factors", " × ".join(files.factor_names())
        yield "background", files.background_name()
        yield "image", f"{self.output}, {text.grid(self.grid)}"
        yield "position", text.position(self.grid.patient_position)
        passes = "1 pass" if self.iterations == 1 else f"{self.iterations} passes"
        yield (
            "algorithm",
            f"OSEM, {passes} over {text.plural(self.subsets, 'subset')} in {self.order} order",
        )
        yield "smoothing", (
            f"PSF {text.widths(self.psf_mm)}, post filter {text.widths(self.post_filter_mm)}"
        )
        yield "device", f"{self.device} ({self.device_reason})"
        yield (
            "memory",
            f"{memory.in_gib(self.memory_needed + self.sensitivity_bytes)} needed, "
            f"{memory.in_gib(memory.available(self.device))} free",
        )

    def algorithm(self):
        """OSEM with its passes × subsets and smoothing, briefly."""
        words = [f"OSEM {self.iterations} × {self.subsets}"]
        smoothing = {"PSF": self.psf_mm, "post filter": self.post_filter_mm}
        words += [f"{name} {text.widths(fwhm)}" for name, fwhm in smoothing.items() if any(fwhm)]
        return ", ".join(words)

    def _notes(self):
        yield from self.measurement.notes()
        kept = self.sensitivity_bytes // self._image_bytes
        if kept < self.subsets:
            yield (
                f"memory holds {kept} of {self.subsets} sensitivity images; the others are "
                "computed anew in each pass, which takes longer"
            )


def divisor_nearest(number, wanted=SUBSETS):
    """The divisor of a number nearest to the wanted one, the smaller of two."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    return min(divisors, key=lambda d: (abs(d - wanted), d))
