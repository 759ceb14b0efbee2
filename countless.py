"""The `countless` command: maps subcommands to functions, imported when they are called."""

import sys

from cyclopts import App, CycloptsError


def _version():
    from recon.version import __version__

    return __version__


def _config(*context):
    from recon.config import fill_in

    fill_in(*context)


app = App(
    name="countless",
    help="Quantitative PET images from a scanner's files, fast on any CPU or GPU.",
    version=_version,
    config=_config,
    suppress_keyboard_interrupt=False,
)
app.command("recon.command:recon", help="Reconstruct a sinogram or list mode to an image.")
app.command("recon.info:info", help="Say what files are, and whether they fit.")
app.command("recon.histogram_command:histogram", help="Count list mode into sinograms.")
app.command("recon.convert_command:convert", help="Bring a scan into or out of another format.")
app.command("recon.mu_map_command:mu_map", name="mu-map", help="Turn a CT into a mu map.")
app.command("recon.norm_command:norm", help="Turn a normalization into factors of a scan's bins.")
app.command("recon.efficiencies_command:efficiencies", help="Estimate crystal efficiencies.")
app.command("recon.randoms_command:randoms", help="Estimate randoms from delayeds or singles.")
app.command("recon.scatter_command:scatter", help="Estimate scattered coincidences.")
app.command("recon.calibrate_command:calibrate", help="Find the calibration factor of a phantom.")
app.command("recon.quantify_command:quantify", help="Turn an image into Bq/mL or SUV.")
app.command("sim.phantom_command:phantom", help="Make a phantom: activity, mu map, CT, labels.")
app.command("sim.scan_command:scan", help="Simulate what a scanner counts of a phantom.")
app.command("sim.thin_command:thin", help="Lower the dose of a measured scan.")
app.command("sim.ct_command:ct", help="Simulate a phantom's CT at standard or low dose.")
app.command("sim.study_command:simulate", help="Simulate a data set of low and standard dose.")
app.command("denoise.train_command:train", help="Train a denoiser on a simulated data set.")
app.command("benchmarks.evaluate_command:evaluate", help="Compare an image with a reference.")
app.command("benchmarks.demo:demo",
            help="Simulate a scan, reconstruct, denoise and report on it.")
app.command("denoise.denoise_command:denoise", help="Take noise out of an image.")
benchmark = App(name="benchmark", help="Measure speed and quality; writes JSON and prints a table.")
benchmark.command("benchmarks.speed:projector", help="Time forward and back projection.")
benchmark.command("benchmarks.unrolled:unrolled", help="Time a block of an unrolled network.")
benchmark.command("benchmarks.convergence:convergence",
                  help="Compare how soon algorithms converge.")
benchmark.command("benchmarks.whole:recon", help="Time a whole reconstruction; measure memory.")
benchmark.command("benchmarks.corrections:corrections", help="Measure errors of corrections.")
benchmark.command("benchmarks.scatter_fraction:scatter_fraction", help="Compare scatter fractions.")
benchmark.command("benchmarks.count_rates:count_rates", help="Compare sensitivity and NECR.")
benchmark.command("benchmarks.image_quality:image_quality", help="Measure spheres and noise.")
benchmark.command("benchmarks.people:people", help="Draw random people on one picture.")
benchmark.command("benchmarks.study:study", help="Time people of a data set; measure memory.")
benchmark.command("benchmarks.lists:histogram", help="Time counting list mode; measure memory.")
benchmark.command("benchmarks.petsird:petsird", help="Time reading PETSIRD list mode.")
benchmark.command("benchmarks.contrast_noise:contrast_noise", help="Draw contrast against noise.")
benchmark.command("benchmarks.quality:quality", help="Compare denoisers on held-out phantoms.")
benchmark.command("benchmarks.matched_noise:matched_noise", help="Compare contrast at equal noise.")
benchmark.command("benchmarks.transfer:transfer", help="Test a denoiser on other kinds of images.")
app.command(benchmark)


def main(tokens=None):
    """Runs the command line and returns its exit code: 0, 2 for input that cannot be used, or 130.

    Args:
        tokens: list of words after `countless`; by default those of the process.
    """
    tokens = sys.argv[1:] if tokens is None else tokens
    options = {"exit_on_error": False, "print_error": False, "verbose": False}
    _describe(tokens)
    try:
        app(tokens, result_action="return_value", **options)
    except CycloptsError as error:
        name = error.argument.name if error.argument else ""
        named = name.strip("-") in str(error).replace("_", "-")
        return _refused(error if named else f"{name}: {error}")
    except (ValueError, RuntimeError) as error:
        from recon.refusal import is_refusal

        if not is_refusal(error):
            raise
        return _refused(error)
    except MemoryError as error:
        return _refused(f"{error or 'out of memory'}; close other programs or ask for less")
    except KeyboardInterrupt:
        print("\ncountless: interrupted; no file was left half written", file=sys.stderr)
        return 130
    return 0


def _describe(tokens):
    """Lets a command's own help say all that its docstring does; the list has short lines."""
    command = app
    for token in tokens if {"-h", "--help"} & set(tokens) else ():
        if token.startswith("-") or token not in command:
            break
        command = command[token]
    if command not in (app, benchmark):
        command.help = None


def _refused(error):
    print("countless:", " ".join(str(error).split()), file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
