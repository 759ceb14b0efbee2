"""From a scan's raw files to those a reconstruction takes, each estimate made once.

Runs the commands that a user would run one after another, and shows them. What they make stays in
a work folder, and is used again while the command, its settings, the version and the content of
all that it read are what the .json beside it says.
"""

import inspect
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from recon import text
from recon.command_line import command_line, flag_of
from recon.io import read_layout
from recon.io.files import FileError
from recon.io.provenance import HEADERS, files_read, plain, read_sidecar, sha256
from recon.io.sinogram import is_siemens, is_sinogram
from recon.version import __version__

DELAYED, SINGLES, ON, OFF = "delayed", "singles", "on", "off"
_IMAGE_MM = 6.0  # across: scatter is smooth, and its image is only integrated
_MU_MM = 3.0
_PASSES = 2


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What the user gave of a scan, some of it still to be made.

    Attributes:
        scan: sinogram of prompts, or a list.
        efficiency, correction, norm: at most one of them; a norm is to be expanded.
        mu_map, ct: at most one of them.
        randoms: 'delayed', 'singles', a sinogram's path, or None.
        scatter: 'on', 'off' or a sinogram's path.
        background: sinogram of both together, in place of these two.
        additive: the same over all factors, in place of it.
        delayed: sinogram of delayeds, of a scan that is no list.
        kvp, scanner_centre_mm: of the CT.
        span, max_ring_difference, seconds, tof_mashing, tof: how to count a list.
        scatter_rounds: how often scatter is estimated, each time from a better image.
        subsets, device: of the images that scatter is estimated from.
        work: folder of what is made.
    Raises:
        ValueError: two that exclude each other, or one without another that it needs.
    """

    scan: Path
    efficiency: Path | None
    correction: Path | None
    norm: Path | None
    mu_map: Path | None
    ct: Path | None
    randoms: str | None
    scatter: str
    background: Path | None
    additive: Path | None
    delayed: Path | None
    kvp: float | None
    scanner_centre_mm: tuple[float, float, float] | None
    span: int | None
    max_ring_difference: int | None
    seconds: tuple[float, float] | None
    tof_mashing: int | None
    tof: bool
    scatter_rounds: int
    subsets: int | None
    device: str
    work: Path

    def __post_init__(self):
        for group in (("efficiency", "correction", "norm"), ("mu_map", "ct"),
                      ("background", "randoms"), ("background", "scatter"),
                      ("additive", "background"), ("additive", "randoms"),
                      ("additive", "scatter")):
            given = [flag_of(name) for name in group
                     if getattr(self, name) not in (None, OFF)]
            if len(given) > 1:
                raise ValueError(
                    f"{' and '.join(given)} are two ways to say the same; give one of them"
                )
        for flag, path, words in (
            ("randoms", _file(self.randoms, DELAYED, SINGLES), f"'{DELAYED}', '{SINGLES}'"),
            ("scatter", _file(self.scatter, ON, OFF), f"'{ON}', '{OFF}'"),
        ):
            if path and not path.exists():
                raise ValueError(
                    f"--{flag} takes {words} or a sinogram's header, got {path}, which is not there"
                )
        self._check_list()
        self._check_scatter()
        if self.randoms == DELAYED and not (self.is_list or self.delayed or self._siemens):
            raise ValueError(
                f"--randoms delayed takes list mode, or --delayed beside a sinogram; {self.scan} "
                "has no delayed coincidences: give --delayed delayed.hs"
            )
        if self.delayed and self.randoms != DELAYED:
            raise ValueError("--delayed takes --randoms delayed beside it; give it, or leave both")
        if self.ct and self.ct.is_file() and not self.kvp:  # DICOM says it itself, a file does not
            raise ValueError(
                f"--ct {self.ct} does not say its tube voltage; give it, for instance --kvp 120"
            )
        if self.ct is None and (self.kvp or self.scanner_centre_mm):
            raise ValueError("--kvp and --scanner-centre-mm are of a CT; give --ct, or leave them")

    def _check_list(self):
        for name in ("span", "max_ring_difference", "seconds", "tof_mashing"):
            if getattr(self, name) is not None and not self.is_list:
                raise ValueError(
                    f"{flag_of(name)} is of list mode, and {self.scan} is a sinogram, in which "
                    "that is settled; leave it out"
                )

    def _check_scatter(self):
        if self.scatter_rounds < 1:
            raise ValueError(f"--scatter-rounds takes 1 or more, got {self.scatter_rounds}")
        if self.scatter != ON:
            return
        if not (self.mu_map or self.ct):
            raise ValueError(
                "--scatter on takes the mu map that scatters, got none; give --mu-map or --ct"
            )
        if self.correction:
            raise ValueError(
                "--scatter on takes --efficiency or --norm, got --correction; give its inverse"
            )

    @property
    def _siemens(self):
        """Whether the scan is a Siemens sinogram, whose file may hold delayeds, too."""
        return is_siemens(self.scan) and not self.is_list

    @cached_property
    def is_list(self):
        """Whether the scan is list mode."""
        return not is_sinogram(self.scan)

    @property
    def paths(self):
        """All files that were given."""
        files = (self.scan, self.efficiency, self.correction, self.norm, self.mu_map,
                 self.background, self.additive, self.delayed,
                 _file(self.randoms, DELAYED, SINGLES), _file(self.scatter, ON, OFF))
        return [*filter(None, files), *([self.ct] if self.ct and self.ct.is_file() else [])]

    @property
    def steps(self):
        """How many commands are to be run, this reconstruction among them; 0 if it is alone."""
        made = (self.is_list, self.norm, self.ct, self.randoms in (DELAYED, SINGLES))
        others = sum(map(bool, made)) + 2 * self.scatter_rounds * (self.scatter == ON)
        return others and others + 1


@dataclass(frozen=True, kw_only=True)
class Files:
    """What a reconstruction takes, all of it there."""

    scan: Path
    efficiency: Path | None
    correction: Path | None
    mu_map: Path | None
    background: tuple[Path, ...]


def prepare(raw, *, check):
    """Makes what a reconstruction takes and does not have yet.

    Args:
        raw: Raw.
        check: function of Files' values, by name, that refuses what cannot be done with those that
            are there before the long steps.
    Returns:
        Files.
    Raises:
        FileError, ValueError: as the commands that it runs.
    """
    new = bool(raw.steps) and not raw.work.exists()
    if raw.steps:
        try:
            raw.work.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise FileError(
                f"{raw.work} cannot be made a folder ({reason.strerror.lower()}); give --work "
                "another name"
            ) from reason
    try:
        return _Chain(raw, check).files()
    finally:
        if new and not any(raw.work.iterdir()):  # refused before anything was made
            raw.work.rmdir()


class _Chain:
    """The commands of a Raw in their order."""

    def __init__(self, raw, check):
        self.raw, self.check, self.done = raw, check, 0

    def files(self):
        raw = self.raw
        scan = self._prompts() if raw.is_list else raw.scan
        scatter = _file(raw.scatter, ON, OFF)
        given = [raw.background, _file(raw.randoms, DELAYED, SINGLES), scatter]
        files = Files(
            scan=scan, efficiency=raw.efficiency, correction=raw.correction, mu_map=raw.mu_map,
            background=tuple(filter(None, given)),
        )
        if raw.steps:
            self.check(**vars(files))
        efficiency, mu_map = self._efficiency(scan), self._mu_map()
        background = tuple(filter(None, [raw.background, self._randoms(scan), scatter]))
        files = replace(files, efficiency=efficiency, mu_map=mu_map, background=background)
        return self._with_scatter(files) if raw.scatter == ON else files

    def _prompts(self):
        from recon.histogram_command import histogram

        raw = self.raw
        start, stop = raw.seconds or (None, None)
        asked = {
            "start": start, "stop": stop, "span": raw.span, "tof_mashing": raw.tof_mashing,
            "tof": None if raw.tof else False, "max_ring_difference": raw.max_ring_difference,
            "delayed_out": self._delayeds if raw.randoms == DELAYED else None,
        }
        asked = {name: value for name, value in asked.items() if value is not None}
        return self._made(histogram, "prompts.hs", list_mode=raw.scan, **asked)

    @property
    def _delayeds(self):
        return self.raw.work / "delayeds.hs"

    def _efficiency(self, scan):
        if not self.raw.norm:
            return self.raw.efficiency
        from recon.norm_command import norm

        return self._made(norm, "efficiency.hs", normalization=self.raw.norm, like=scan)

    def _mu_map(self):
        raw = self.raw
        if not raw.ct:
            return raw.mu_map
        from recon.mu_map_command import mu_map

        centre = {"scanner_centre_mm": raw.scanner_centre_mm} if raw.scanner_centre_mm else {}
        return self._made(mu_map, "mu-map.nii.gz", ct=raw.ct, kvp=raw.kvp,
                          voxel_mm=(_MU_MM,) * 3, **centre)

    def _randoms(self, scan):
        from recon.randoms_command import randoms

        raw = self.raw
        if raw.randoms == SINGLES:
            return self._made(randoms, "randoms.hs", singles=scan, norm=raw.norm)
        if raw.randoms != DELAYED:
            return _file(raw.randoms)
        if raw.is_list:
            return self._made(randoms, "randoms.hs", delayed=self._delayeds, list_mode=raw.scan)
        return self._made(randoms, "randoms.hs", delayed=raw.delayed or raw.scan)

    def _with_scatter(self, files):
        """Files whose background has scatter, too."""
        from recon.command import recon
        from recon.corrections.scatter_estimate import COARSER, USUAL
        from recon.scatter_command import scatter

        raw = self.raw
        layout = read_layout(files.scan)[0]
        voxel_mm = (_IMAGE_MM, _IMAGE_MM, layout.scanner.ring_spacing_mm)
        randoms = files.background[0] if files.background else None
        same = {"scan": files.scan, "mu_map": files.mu_map, "efficiency": files.efficiency,
                "device": raw.device}
        found = None
        for number in range(1, raw.scatter_rounds + 1):
            image = self._made(
                recon, f"scatter{number}-image.nii.gz", **same, subsets=raw.subsets,
                iterations=_PASSES, voxel_mm=voxel_mm, tof=raw.tof,
                **({"randoms": str(randoms)} if randoms else {}),
                **({"scatter": str(found)} if found else {}),
            )
            first = {"point_mm": COARSER * USUAL.point_mm} if number < raw.scatter_rounds else {}
            found = self._made(scatter, f"scatter{number}.hs", **same, **first, image=image,
                               randoms=randoms)
        return replace(files, background=tuple(filter(None, [randoms, found])))

    def _made(self, function, name, **settings):
        """Path of an output of a command in the work folder, made unless it is there already."""
        output = self.raw.work / name
        settings |= {"output": output}
        self.done += 1
        print(f"\n{self.done} of {self.raw.steps}  $ {command_line(function, settings)}")
        outputs = [settings[key] for key in ("output", "delayed_out") if settings.get(key)]
        if all(is_current(path, function, settings) for path in outputs):
            print(text.table([("as before", f"nothing changed: {output} is used again")]))
        else:
            function(**settings)
        return output


def is_current(output, function, settings):
    """Whether an output is what a command would make again.

    Args:
        output: a sinogram or an image.
        function: of the command.
        settings: what it would be given, by name; the others have their defaults.
    """
    parameters = inspect.signature(function).parameters
    full = {name: parameter.default for name, parameter in parameters.items()} | settings
    full.pop("config", None)
    if not output.is_file() or (output.suffix in HEADERS and len(files_read(output)) < 2):
        return False
    said = read_sidecar(output)
    if said.get("version") != __version__ or said.get("configuration") != plain(full):
        return False
    return all(
        Path(entry["path"]).is_file() and sha256(entry["path"]) == entry["sha256"]
        for entry in said["inputs"]
    )


def _file(value, *words):
    """The path that a setting names, None where it is a word or nothing."""
    return None if value is None or value in words else Path(value)
