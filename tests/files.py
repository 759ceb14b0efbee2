"""What a folder holds, for tests that nothing in it has changed."""


def contents(folder):
    """The bytes of each file of a folder, by its path."""
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
