"""The projector benchmark's results as text."""

from benchmarks import peers

HEADER = (
    f"{'problem':<11}{'operation':<23}{'M LORs':>8}{'seconds':>10}{'M LORs/s':>10}"
    f"{'of copy':>9}{'peak GiB':>10}{'parallelproj':>14}{'STIR':>8}"
)


def introduction(results, reason):
    """Lines that say what runs where, before the table."""
    facts = results["machine"]
    built = f", vectors of {facts['simd_lanes']} floats" if "simd_lanes" in facts else ""
    return (
        f"{facts['processor']}, {reason}{built}\n"
        f"copies {results['copy_bytes_per_second'] / 1e9:.1f} GB/s, read and written together\n"
        f"import recon takes {results['import_recon_seconds']:.2f} s"
    )


def line(row):
    """A row of the table under HEADER."""
    ratios = [f"{r:.{int(r < 10)}f} x" if r else "-" for r in row["ratio_across_runs"].values()]
    return (
        f"{row['problem']:<11}{row['operation']:<23}{row['lors'] / 1e6:>8.2f}"
        f"{row['seconds']:>10.4f}{row['lors_per_second'] / 1e6:>10.1f}"
        f"{row['fraction_of_copy']:>9.0%}{row['peak_bytes'] / 2**30:>10.2f}"
        f"{ratios[0]:>14}{ratios[1]:>8}"
    )


def notes(results):
    """Lines that say what the table's columns are, and how parallelproj does in this run."""
    lines = [
        "seconds: median. of copy: the time to copy as many bytes as must be read and written at",
        "least, over the seconds. Sorting listed events by direction, once a list, is not timed.",
        f"parallelproj, STIR: LORs/s over theirs ACROSS RUNS: on {peers.PUBLISHED['machine']},",
        "as published with this project.",
    ]
    for name, theirs in results["parallelproj"].items():
        if "reason" in theirs:
            lines.append(f"parallelproj in this run, {name}: none; {theirs['reason']}.")
        for operation, ratio in theirs["ratio"].items():
            lines.append(
                f"parallelproj in this run, {name}, {operation} of the same LORs: "
                f"{theirs[operation]:.3f} s, {ratio:.1f} x ours"
            )
    return "\n".join(lines)
