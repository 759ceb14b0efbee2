"""What a reconstruction will do, settled from headers and told before the work starts."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from recon import backend, memory, text
from recon.agreement import check_position
from recon.algorithms.subsets import divisor_nearest
from recon.chunks import chunks
from recon.command_line import flag_of
from recon.field_of_view import check_sizes, radius_mm, same_place, seen
from recon.grid import Grid
from recon.io import FileError, check_counts, check_output, check_picture, like
from recon.io.image import is_interfile
from recon.io.provenance import read_sidecar
from recon.measurement import Measurement
from recon.method import PENALISED, Method
from recon.operators import GaussianBlur
from recon.projectors import SinogramProjector
from recon.quantity import ACTIVITY, activity_in

SENSITIVITY_BYTES = 2 * memory.GIB


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A reconstruction, checked as far as headers tell.

    Attributes:
        measurement: Measurement.
        output: image to write.
        grid: Grid of the image.
        frame: index order and affine for a NIfTI output, see `recon.io.like`; or None.
        start: first image; None for a flat cylinder.
        method: recon.method.Method, the algorithm and its prior.
        subsets, order: of the views.
        iterations: passes over all subsets, at most where the method has a tolerance.
        psf_mm, post_filter_mm: FWHM along x, y, z; 0 for none.
        save_every: passes between images that are kept; None for the last alone.
        preview, quality: pictures to draw, or None.
        calibration: recon.corrections.calibration.Calibration that makes the image Bq/mL, or None.
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
    method: Method = field(default_factory=Method)
    subsets: int
    iterations: int = 3
    order: str = "spread"
    psf_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    post_filter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    save_every: int | None = None
    preview: Path | None = None
    quality: Path | None = None
    calibration: object = None
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
                raise ValueError(f"{flag_of(name)} takes 1 or more, got {value}")
        for flag, widths in (("--psf-mm", self.psf_mm), ("--post-filter-mm", self.post_filter_mm)):
            check_sizes(self.measurement.layout, flag, widths)
        self._check_field_of_view()
        self._check_mu_map()
        self._check_outputs()
        self._check_start()
        self.method.check_anatomy(self.grid, self.measurement.scan)
        if self.method.learned:
            self.method.learned.check(self.grid, self.measurement.layout, self.device)
        self._check_memory()

    def _check_field_of_view(self):
        scanner = self.measurement.layout.scanner
        half = scanner.rings * scanner.ring_spacing_mm / 2
        low, high = self.grid.extent[2]
        if low >= half or high <= -half or not self._seen.any():
            raise ValueError(
                f"the image has {text.grid(self.grid)}, none of it in the scanner's field of view "
                f"({radius_mm(self.measurement.layout):.4g} mm about the axis, z from {-half:.4g} "
                f"to {half:.4g} mm); 0 is the scanner's centre: leave out --grid-like or correct "
                "where it lies"
            )

    def _check_start(self):
        if self.start is None:
            return
        check_position(self.start, self.grid.patient_position, self.measurement.scan)
        grid = like(self.start, self.grid.patient_position)[0]
        if not same_place(grid, self.grid):
            raise FileError(
                f"{self.start} has {text.grid(grid)}, where the image has {text.grid(self.grid)}; "
                f"resample it, or use --grid-like {self.start}"
            )

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
        for flag, path in (("--preview", self.preview), ("--quality", self.quality)):
            if path:
                check_picture(path, flag, self.inputs)

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
        if self.device == "cuda":
            self._check_gpu()

    def _check_gpu(self):
        """Refuses what a GPU's shared memory, or the machine that feeds it, cannot hold."""
        for back in (False, True):
            chunks(backend.cupy(), self.measurement.layout, self.grid, back=back)
        prompts, *_, summed = self.measurement.sizes()
        host = memory.needed_by_host(
            arrays=[prompts, summed], voxels=math.prod(self.grid.shape)
        )
        free = memory.available("cpu")
        if host > free:
            raise ValueError(
                f"to read a sinogram for the GPU takes {memory.in_gib(host)} of the machine's "
                f"memory, where {memory.in_gib(free)} are free; close other programs or use a "
                "machine with more memory"
            )

    @property
    def unit(self):
        """Unit of the image that is written."""
        return ACTIVITY if self.calibration else self.measurement.unit

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
        bins = math.prod(self.measurement.layout.shape)
        images, sinograms = self.method.kept(self.subsets)
        return memory.needed(
            arrays=[*self.measurement.sizes(), sinograms * bins],
            bins=bins,
            subsets=self.subsets,
            voxels=math.prod(self.grid.shape),
            more_images=self._blur_images + images,
        )

    @property
    def _blur_images(self):
        """Images that blurs take; the post filter's own sum is kept too."""
        filtered = memory.BLUR_IMAGES + 1 if any(self.post_filter_mm) else 0
        return filtered + (memory.BLUR_IMAGES if any(self.psf_mm) else 0)

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

    @cached_property
    def projector(self):
        """SinogramProjector from the image to the scan's bins."""
        return SinogramProjector(self.measurement.layout, self.grid)

    @cached_property
    def _seen(self):
        """Where the default start image is 1, (x, y, 1) bool."""
        return seen(self.grid, self.measurement.layout)

    def first_image(self):
        """What OSEM starts from: `start`, or `inside`, a cylinder; (x, y, z) on the device."""
        if self.start is None:
            inside = np.ascontiguousarray(np.broadcast_to(self._seen, self.grid.shape))
            return {"inside": backend.to_device(inside, self.device)}
        return {"start": backend.to_device(self._read_start(), self.device)}

    def _read_start(self):
        unit, position = self.measurement.unit, self.grid.patient_position
        image, _, note = activity_in(self.start, unit, position)
        if note:
            print(text.table([("note", note)]))
        check_counts(image, self.start, "activity", axes=("x", "y", "z"))
        if not image.any():
            raise FileError(
                f"{self.start} is 0 everywhere, and OSEM only multiplies, so the image would be 0; "
                "give a start above 0 where activity can be, or none"
            )
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
        yield "image", f"{self.output} in {self.unit}, {text.grid(self.grid)}"
        yield "position", text.position(self.grid.patient_position)
        passes = "1 pass" if self.iterations == 1 else f"{self.iterations} passes"
        method = self.method
        guide = method.guided_by if method.algorithm in ("kem", "dip") else ""
        over = f"{passes} over {text.plural(self.subsets, 'subset')} in {self.order} order"
        if method.blocks:
            over = text.plural(self.iterations, "block")
        yield "algorithm", f"{method.name}{guide}, {over}"
        if method.prior:
            yield "prior", str(method)
        if method.learned:
            yield "learned", method.learned.words
        if method.tolerance:
            yield "ends", f"when a pass changes the image by less than {100 * method.tolerance:g} %"
        yield "smoothing", (
            f"PSF {text.widths(self.psf_mm)}, post filter {text.widths(self.post_filter_mm)}"
        )
        yield "device", f"{self.device} ({self.device_reason})"
        yield (
            "memory",
            f"{memory.in_gib(self.memory_needed + self.sensitivity_bytes)} needed, "
            f"{memory.in_gib(memory.available(self.device))} free",
        )

    def algorithm(self, number=None):
        """The method with its passes (all, or so many) × subsets and smoothing, briefly."""
        done = number or self.iterations
        words = [f"{self.method.name}, {text.plural(done, 'block')}" if self.method.blocks
                 else f"{self.method.name} {done} × {self.subsets}"]
        if self.method.prior:
            words.append(str(self.method))
        smoothing = {"PSF": self.psf_mm, "post filter": self.post_filter_mm}
        words += [f"{name} {text.widths(fwhm)}" for name, fwhm in smoothing.items() if any(fwhm)]
        return ", ".join(words)

    def _notes(self):
        yield from self.measurement.notes()
        efficiency = self.measurement.efficiency
        if self.calibration and not (efficiency and read_sidecar(efficiency).get("dead_time")):
            yield (
                "no factor is known to hold dead time: Bq/mL are too low by what the scanner missed"
            )
        if self.method.algorithm == "osl":
            yield "one-step-late does not reach the minimum of its objective; svrg does"
        if self.method.algorithm in PENALISED and any(self.post_filter_mm):
            yield "a prior smooths already; the post filter smooths what comes of it once more"
        if self.frame is not None and is_interfile(self.output):
            yield (
                f"{self.output} keeps the voxels of --grid-like but not its index order and "
                "affine, which .hv cannot hold: name it .nii.gz for those"
            )
        kept = self.sensitivity_bytes // self._image_bytes
        if kept < self.subsets:
            yield (
                f"memory holds {kept} of {self.subsets} sensitivity images; the others are "
                "computed anew in each pass, which takes longer"
            )
