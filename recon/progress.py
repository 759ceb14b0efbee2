"""Progress bars, to stderr, for what takes longer than a second."""

import contextlib
import sys

from tqdm import tqdm


@contextlib.contextmanager
def updates():
    """A bar of a fit's updates; gives the function to call after each with its largest change."""
    with tqdm(unit=" updates", delay=1, file=sys.stderr, dynamic_ncols=True) as bar:

        def watch(change):
            bar.set_postfix_str(f"largest change {change:.1e}", refresh=False)
            bar.update()

        yield watch


@contextlib.contextmanager
def views(layout):
    """A bar of a sinogram's views; gives the function to call with how many more are done."""
    with tqdm(total=layout.views, unit=" views", delay=1, file=sys.stderr,
              dynamic_ncols=True) as bar:
        yield bar.update


def events(chunks, stop_ms):
    """Yields a list's chunks, with a bar of how much of the scan's time has been read.

    Args:
        chunks: iterable of recon.events.Events.
        stop_ms: where the list, or what is read of it, ends.
    """
    form = "{l_bar}{bar}| {n:.1f} of {total:.1f} s of the scan [{elapsed}<{remaining}]"
    total = stop_ms / 1000
    with tqdm(total=total, bar_format=form, delay=1, file=sys.stderr, dynamic_ncols=True) as bar:
        for chunk in chunks:
            yield chunk
            bar.update(max(min(float(chunk.time_ms[-1]) / 1000, total) - bar.n, 0))
