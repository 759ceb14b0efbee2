"""`countless benchmark transfer`: a trained model on images of kinds that it was not trained on."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from benchmarks import machine
from benchmarks.methods import check_unseen, find_methods
from benchmarks.pool import check_workers
from benchmarks.quality import quality
from benchmarks.quality_measure import METRICS
from benchmarks.quality_table import COLUMNS, few, found, interval, number, star
from denoise import scaling
from denoise.domain import outside
from recon import backend
from recon.io import FileError
from recon.io.files import replacing
from recon.io.outputs import make_folder
from recon.io.provenance import plain, write_json
from sim.dataset import open_study

BASELINE = "gaussian"


def transfer(
    *studies: Path,
    model: str,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int = 0,
    output: Annotated[Path, Parameter(alias="-o")],
):
    """Test a model on studies of another kind: another phantom, tracer, organ or scanner.

    Each study is one that `countless simulate` made, with phantoms for validation, on which the
    Gaussian is tuned, and for testing; benchmarks/studies holds settings for the NEMA image quality
    phantom, another tracer, brains and another scanner. Each is measured as `countless
    benchmark quality` does, against the low dose, the tuned Gaussian and the standard dose, in a
    folder of its own with a report. Writes transfer.json and transfer.md, a table for a model card.

    Args:
        studies: Folders of data sets, each of its own name.
        model: Shipped model's name, or a checkpoint's file. One that reconstructs takes studies
            that keep their scans.
        device: Where the model runs: auto takes a GPU where there is one.
        workers: Processes that tune and measure at a time, which share the cores and the GPU; 0
            for this one alone.
        output: Folder, made where there is none.
    Returns:
        What transfer.json holds, a dict.
    """
    names = [Path(study).resolve().name for study in studies]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"transfer takes folders of studies with different names, got "
            f"{' '.join(names) or 'none'}"
        )
    check_workers(workers)
    device, _ = backend.find_device(device)
    (method,) = find_methods([model])
    if method.sha256 is None or method.tuned:
        raise ValueError(f"--model takes a shipped model or a checkpoint's file, got {model!r}")
    _check(studies, method)
    folder = make_folder(output)
    results = machine.origin(device) | {
        "workers": workers, "model": {"name": method.name, "sha256": method.sha256} | {
            key: method.settings[key] for key in ("domain", "training")},
        "studies": [],
    }
    for study, name in zip(studies, names, strict=True):
        print(f"\n{name}")
        told = quality(study, methods=("low", BASELINE, model, "standard"), device=device,
                       workers=workers, output=folder / name)
        kept = ("study", "study_hash", "phantoms", "pairs", "factors", "realisations", "methods",
                "rules", "tuned", "best_baseline", "summary", "claim")
        uniform = sorted({row["uniform"] or "no organ" for row in told["rows"]})
        results["studies"].append(
            {"name": name, "uniform": uniform} | kind_of(study, method, device)
            | {key: told[key] for key in kept}
        )
    results = plain(results)
    write_json(folder / "transfer.json", results)
    with replacing(folder / "transfer.md") as path:
        path.write_text(card(results), encoding="utf-8")
    print(f"\n{card(results)}\n{folder / 'transfer.md'} is for a model card")
    return results


def _check(studies, method):
    """Refuses studies that cannot be measured, before any is.

    Raises:
        ValueError: there is no phantom to tune the baseline on or to test with, or the model was
            trained on it.
        FileError: the model begins with scans, and a study keeps none.
    """
    for study in studies:
        with open_study(study) as data:
            check_unseen([method], data)
            if method.reconstructs and not data.keeps_scans:
                raise FileError(
                    f"{method.name} reconstructs, and {study} keeps no scans beside its images; "
                    "simulate it with `keep_scans: true`"
                )
            for split in ("validation", "test"):
                if not data.numbers[split]:
                    raise ValueError(
                        f"transfer takes studies with phantoms for validation and testing, got "
                        f"{study} with none for {split}; simulate more, or set split.{split}"
                    )


def kind_of(study, method, device="cpu"):
    """What is scanned in a study, where, and what a model says of it, a dict.

    Of the first phantom of its test split: phantom, tracer, scanner, and warnings, what `countless
    denoise` would warn of in its low-dose images, or `countless recon` in its scans.
    """
    with open_study(study) as data:
        number = data.numbers["test"][0]
        file, scanner = data.file(number), data.index["recipe"]["scan"]["scanner"]
        tracer = file.attrs.get("tracer") or None
        scanner = scanner["name"] if isinstance(scanner, dict) else scanner
        warnings = {}
        for factor in data.factors:
            pair = method.pair(data, number, factor, 0)
            for said in _warnings(data, method, pair, tracer, scanner, device):
                warnings.setdefault(said, []).append(factor)
        return {"phantom": str(file.attrs["phantom"]), "tracer": tracer, "scanner": scanner,
                "warnings": [{"said": said, "factors": factors}
                             for said, factors in warnings.items()]}


def _warnings(data, method, pair, tracer, scanner, device):
    """Sentences of a model on an image, or on a scan, as it reconstructs that."""
    if not method.reconstructs:
        voxel_mm = data.grid(pair.number).voxel_mm
        measured = scaling.measure(data.read(pair, ("low",))["low"], voxel_mm)
        return outside(method.settings, measured, voxel_mm, tracer, scanner)
    made, said = method.denoiser, {}
    ct = data.read(pair, ("ct",))["ct"]
    next(made.after([made.learned.passes], data.scan(pair), ct, device=device, said=said))
    return said["warnings"]


def card(results):
    """The table of all studies in Markdown: a line for each dose and method.

    Args:
        results: of `transfer`.
    """
    model = results["model"]
    lines = [f"{model['name']} (checkpoint {model['sha256'][:12]}) on images of other kinds; mean "
             "[95 % interval] over phantoms of a simulator; not for clinical use. Nearer: whether "
             f"its NRMSE to truth is below that of the {BASELINE.title()} tuned on the study's own "
             "validation split, surely where the difference's interval does not hold 0; * where "
             "Wilcoxon's test against that baseline has p < 0.05.", ""]
    titles = ["study", "dose", "method", "nearer", *(METRICS[name].title for name in COLUMNS)]
    lines += ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for study in results["studies"]:
        for factor in study["factors"]:
            for method in study["methods"]:
                name = method["name"]
                cells = [study["name"], f"1/{factor:g}", name, _nearer(study, name, factor)
                         if method["sha256"] else ""]
                for metric in COLUMNS:
                    row = found(study, name, factor, metric)
                    said = f"{number(row['mean'], metric)} {interval(row, metric)}".rstrip()
                    cells.append(said + star(row))
                lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for study in results["studies"]:
        what = ", ".join(filter(None, (study["phantom"], study["tracer"], study["scanner"])))
        said = filter(None, (few(study), _warned(study)))
        lines.append(f"- {study['name']}: {what}; {len(study['phantoms']['test'])} tested; the "
                     f"liver's figures are of {' or '.join(study['uniform'])}. {' '.join(said)}")
    return "\n".join(lines) + "\n"


def _nearer(study, model, factor):
    """Whether a model is nearer to the truth than the baseline, as a word or two."""
    against = found(study, model, factor, "nrmse_truth")["against"]
    sure = against["low"] is not None and against["low"] * against["high"] > 0
    return ("yes" if against["mean"] < 0 else "no") + (", surely" if sure else "")


def _warned(study):
    """What the model warns of in a study's images, a sentence."""
    if not study["warnings"]:
        return "It warns of nothing."
    said = (f"{one['said']} (1/{', 1/'.join(f'{factor:g}' for factor in one['factors'])})"
            for one in study["warnings"])
    return f"It warns that {'; that '.join(said)}."
