"""Published scanners as detectors on a circle in equally spaced rings.

Real scanners are polygons of flat blocks: what that moves (up to 2 mm, crystals at the
edges of a block most) and what else is approximate is said at each. STIR's scanner table
(buildblock/Scanner.cxx) is the source of radii, depths, ring spacings and bins unless another is
named. Where STIR's name for the scanner exists it is the name here.

effective_threshold_kev and dead_time_ns are fitted, by `countless benchmark scatter-fraction --fit`
and `count-rates --fit`, whose results say to which published figures. A dead time stands for all
that a scanner loses at high rates, as if each block lost it.
"""

from recon.scanner import Scanner

PRESETS = {
    # Crystals and coincidence window: Delso et al., J Nucl Med 52(12), 2011. Energy window: the
    # scanner's own list-mode headers. Virtual crystals (1 of each 9) at index = 0 mod 9: real
    # list-mode data have events on all others and none on these.
    # Approximate: 56 flat blocks of 8 crystals; the gap between blocks is taken as one crystal.
    "mMR": Scanner(
        name="Siemens mMR",
        rings=64, crystals=504, radius_mm=328.0, depth_mm=7.0, ring_spacing_mm=4.0625,
        crystal_mm=(4.0, 4.0, 20.0), scintillator="LSO",
        block_crystals=(9, 8), virtual_crystals=(0,),
        radial_bins=344, radial_bin_mm=2.08626,
        energy_resolution=0.145, energy_window_kev=(430.0, 610.0), dead_time_ns=1509.0,
        coincidence_window_ps=5860.0,
    ),
    # Crystals, axial field of view (26.3 cm over 80 rings), energy, windows and 214 ps: van Sluis
    # et al., J Nucl Med 60(7), 2019. Files hold 33 bins of 143 ps, mashed by 8, and views mashed
    # by 8.
    # Approximate: 38 blocks of 20 crystals per ring and one virtual one each (798); that it comes
    # first in its block is by analogy with the mMR. Axial gaps between blocks are spread evenly.
    "Vision 600": Scanner(
        name="Siemens VISION 600",
        rings=80, crystals=798, radius_mm=410.0, depth_mm=7.0, ring_spacing_mm=3.2875,
        crystal_mm=(3.2, 3.2, 20.0), scintillator="LSO",
        block_crystals=(21, 10), virtual_crystals=(0,),
        radial_bins=520, radial_bin_mm=1.6,
        energy_resolution=0.09, energy_window_kev=(435.0, 585.0), effective_threshold_kev=423.0,
        dead_time_ns=782.0, coincidence_window_ps=4700.0,
        timing_resolution_ps=214.0, tof_bins=264, tof_bin_ps=17.875,
    ),
    # The 20 cm scanner. Crystals, energy, timing and windows: Hsu et al., J Nucl Med 58(9), 2017.
    # Files hold 29 bins of 169 ps, mashed by 13. Energies of neighbouring blocks are added up to
    # recover photons that scatter from one into the other: Wagadarikar et al., IEEE Trans Nucl Sci
    # 61(1), 2014, of the same maker's detectors.
    # Approximate: STIR gives inner radius and depth such that their sum is right; the sign of the
    # tilt is STIR's guess. Gaps between units (transaxial and axial) are spread evenly, so no
    # crystals are virtual.
    "Discovery MI": Scanner(
        name="GE Discovery MI 4 rings",
        rings=36, crystals=544, radius_mm=371.1, depth_mm=9.4, ring_spacing_mm=5.52296,
        tilt_deg=-4.399, crystal_mm=(3.95, 5.3, 25.0), scintillator="LSO", block_crystals=(4, 9),
        adds_blocks=True,
        radial_bins=415, radial_bin_mm=2.206,
        energy_resolution=0.094, energy_window_kev=(425.0, 650.0), effective_threshold_kev=409.0,
        dead_time_ns=2360.0, coincidence_window_ps=4900.0,
        timing_resolution_ps=375.4, tof_bins=377, tof_bin_ps=13.0,
    ),
    # Crystals and windows: Brix et al., J Nucl Med 38(10), 1997, and Adam et al., IEEE Trans Nucl
    # Sci 44(3), 1997. BGO, no time of flight.
    # Approximate: 72 flat blocks of 8 crystals without gaps between them.
    "HR+": Scanner(
        name="ECAT HR+",
        rings=32, crystals=576, radius_mm=412.0, depth_mm=7.0, ring_spacing_mm=4.85,
        crystal_mm=(4.05, 4.39, 30.0), scintillator="BGO", block_crystals=(8, 8),
        radial_bins=288, radial_bin_mm=2.25,
        energy_window_kev=(350.0, 650.0), coincidence_window_ps=12000.0,
    ),
    # A total-body scanner: 194 cm, 564,480 crystals of 2.76 x 2.76 x 18.1 mm in blocks of 7 x 6,
    # 78.6 cm ring diameter, 505 ps. Source: Spencer et al., J Nucl Med 62(6), 2021.
    # Approximate: 8 units with 2.5 mm gaps become 672 rings 1940/672 mm apart; 24 flat modules
    # become a circle, which moves crystals by up to 3.4 mm. Depth, radial bins (they cover the
    # 68.6 cm field of view) and time-of-flight bins (of 39.0625 ps, to cover the widest
    # coincidence window, 6.9 ns) are this package's choice. The real scanner accepts only part of
    # the ring differences.
    "uEXPLORER": Scanner(
        name="uEXPLORER",
        rings=672, crystals=840, radius_mm=393.0, depth_mm=7.0, ring_spacing_mm=2.887,
        crystal_mm=(2.76, 2.76, 18.1), scintillator="LSO", block_crystals=(7, 6),
        radial_bins=549, radial_bin_mm=1.444,
        energy_resolution=0.117, energy_window_kev=(430.0, 650.0), dead_time_ns=12405.0,
        coincidence_window_ps=6900.0,
        timing_resolution_ps=505.0, tof_bins=177, tof_bin_ps=39.0625,
    ),
    # No real scanner: a human-sized bore with few, large crystals, for examples that take seconds.
    # Its bins cover 60 cm.
    "demo": Scanner(
        name="demo",
        rings=16, crystals=256, radius_mm=400.0, depth_mm=8.0, ring_spacing_mm=12.5,
        crystal_mm=(9.5, 12.0, 20.0), scintillator="LSO", block_crystals=(8, 4),
        radial_bins=135, radial_bin_mm=5.0,
        energy_resolution=0.12, energy_window_kev=(430.0, 650.0), coincidence_window_ps=4500.0,
        timing_resolution_ps=400.0, tof_bins=45, tof_bin_ps=100.0,
    ),
    # No real scanner: small enough to try every pair of crystals in a unit test.
    "tiny": Scanner(
        name="tiny",
        rings=5, crystals=32, radius_mm=100.0, depth_mm=5.0, ring_spacing_mm=8.0,
        crystal_mm=(18.0, 7.5, 20.0), scintillator="LSO", block_crystals=(4, 5),
        radial_bins=23, radial_bin_mm=10.0,
        energy_resolution=0.15, energy_window_kev=(400.0, 650.0), coincidence_window_ps=1000.0,
        timing_resolution_ps=300.0, tof_bins=9, tof_bin_ps=100.0,
    ),
}

# Other names, without case, spaces and punctuation other than "+".
ALIASES = {
    "siemensmmr": "mMR", "biographmmr": "mMR", "siemensbiographmmr": "mMR", "2008": "mMR",
    "vision": "Vision 600", "siemensvision600": "Vision 600", "siemensvision": "Vision 600",
    "biographvision": "Vision 600", "biographvision600": "Vision 600",
    "siemensbiographvision600": "Vision 600",
    "dmi": "Discovery MI", "gediscoverymi": "Discovery MI", "gediscoverymi4rings": "Discovery MI",
    "discoverymi4": "Discovery MI",
    "ecathr+": "HR+", "ecatexacthr+": "HR+", "siemensecathr+": "HR+", "ecat962": "HR+",
    "uihuexplorer": "uEXPLORER", "totalbody": "uEXPLORER",
}
