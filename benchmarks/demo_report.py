"""The demo's report: the images of one person beside the truth, in one HTML file."""

from html import escape

from benchmarks.page import facts, image, page

_COLUMNS = (  # title, number of an image's, format
    ("NRMSE to truth", "nrmse", "{:.1%}"), ("PSNR (dB)", "psnr", "{:.2f}"),
    ("SSIM", "ssim", "{:.4f}"), ("liver recovery", "liver_recovery", "{:.3f}"),
    ("noise in liver", "noise", "{:.1%}"),
)


def report(made, figures, warnings, seconds):
    """The whole page, as text.

    Args:
        made: dict of provenance, with images (title -> `comparison.Truth.quality`), formulas and
            commands.
        figures: dict from a title to a matplotlib Figure.
        warnings: sentences of `countless denoise`.
        seconds: that all commands took.
    """
    note = "<p class=note>{}</p>".format
    parts = [
        "<p class=claim>One simulated person: an example, no evidence; not for clinical use.</p>",
        note("<code>countless benchmark quality</code> compares denoisers on many people."),
        *(f"<p class=claim>The denoiser warns: {escape(sentence)}.</p>" for sentence in warnings),
        _table(made["images"]),
    ]
    for title, figure in figures.items():
        parts += [f"<h2>{escape(title)}</h2>", image(figure, title)]
    parts += ["<h2>How it was made</h2>", facts([
        ("version", made["version"]), ("seed", made["seed"]), ("time", f"{seconds:.0f} s"),
        *(("formula", formula) for formula in made["formulas"]),
        *(("$", command) for command in made["commands"]),
    ])]
    return page("A low-dose scan, and what becomes of it", parts)


def recovered(contrast):
    """A recovered contrast as text; a dash where there is none (`clinical_metrics`)."""
    return "–" if contrast is None else f"{contrast:.2f}"


def _table(images):
    """Numbers of all images, and the recovered contrast of each lesion."""
    lesions = list(next(iter(images.values()))["contrast_recovery"])
    head = ["", *(title for title, _, _ in _COLUMNS),
            *(f"contrast recovered, {name}" for name in lesions)]
    rows = [
        [title, *(form.format(values[name]) for _, name, form in _COLUMNS),
         *(recovered(values["contrast_recovery"][name]) for name in lesions)]
        for title, values in images.items()
    ]
    lines = [
        "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
        for tag, row in (("th", head), *(("td", row) for row in rows))
    ]
    return f"<div class=wide><table><tr>{'<tr>'.join(lines)}</table></div>"
