"""One run at a time in a study's folder."""

import contextlib
import fcntl
import os
import socket

from recon.io import FileError

NAME = ".lock"


@contextlib.contextmanager
def locked(folder):
    """Holds a study's folder. The lock ends with its process, however that ends.

    Args:
        folder: Path of the folder, which is there.
    Yields:
        A sentence where a run before ended without letting go, else None.
    Raises:
        FileError: another run holds it; says which.
    """
    with open(folder / NAME, "a+", encoding="utf-8") as file:
        file.seek(0)
        before = file.read()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as reason:
            raise FileError(
                f"{folder} is in use by {before or 'another run'}; wait for it, stop it, or give "
                "another folder"
            ) from reason
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield f"{before} ended before it was done; its whole files are kept" if before else None
        # Not when the run was broken off: the next one says so.
        file.truncate(0)
