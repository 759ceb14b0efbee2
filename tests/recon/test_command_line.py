import shlex
from pathlib import Path

import countless
from recon.command import recon
from recon.command_line import command_line
from recon.mu_map_command import mu_map
from recon.randoms_command import randoms


def test_settings_at_their_default_are_not_said():
    settings = {"scan": Path("a b.hs"), "output": Path("x.nii.gz"), "gamma": 2.0, "tof": True}
    assert command_line(recon, settings) == "countless recon 'a b.hs' --output x.nii.gz"


def test_a_flag_that_is_off_and_one_of_several_values_are_said():
    settings = {"scan": Path("a.hs"), "output": Path("x.hv"), "tof": False, "psf_mm": (4.0, 4.0, 5)}
    words = command_line(recon, settings).split()
    assert words[-5:] == ["--psf-mm", "4.0", "4.0", "5", "--no-tof"]


def test_several_values_that_no_flag_stands_before_are_said():
    def gather(scans: tuple[Path, ...], *, output: Path): ...

    words = command_line(gather, {"scans": (Path("one"), Path("two")), "output": Path("sum")})
    assert words == "countless gather one two --output sum"


def test_a_command_of_two_words_and_a_renamed_flag_are_those_of_the_command_line():
    assert command_line(mu_map, {"ct": "ct", "output": "m.hv"}).startswith("countless mu-map ct ")
    settings = {"delayed": Path("d.hs"), "output": Path("r.hs"), "list_mode": Path("l.hdr")}
    words = shlex.split(command_line(randoms, settings))
    assert words[-2:] == ["--list", "l.hdr"]
    command, bound, _ = countless.app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert command is randoms and bound.arguments == settings
