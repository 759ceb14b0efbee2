"""Settings of a command from a YAML file, under its flags."""

import difflib
from pathlib import Path

from recon.io import FileError
from recon.io.files import opened


def fill_in(app, commands, arguments):
    """Fills in from the file of `--config` what the command's flags leave open (for cyclopts).

    Args:
        app, commands: the cyclopts App and the names that lead to its command.
        arguments: its ArgumentCollection, with what the command line gave.
    Raises:
        FileError: no such file, no YAML, or a key that is no setting of the command.
    """
    from cyclopts.config import Dict

    for argument in arguments:
        if "--config" in argument.names and argument.tokens:
            path = Path(argument.tokens[-1].value)
            names = [name for other in arguments for name in other.names if other is not argument]
            settings = read_settings(path, [name.lstrip("-").replace("-", "_") for name in names])
            Dict(settings, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def read_settings(path, known):
    """Settings of a YAML file, a dict; those that are null are left out.

    Args:
        path: the file, one `name: value` for each setting.
        known: names of settings, with underscores; a file may write hyphens.
    Raises:
        FileError: see `fill_in`; with the line.
    """
    import yaml

    with opened(path, encoding="utf-8", mode="r") as file:
        text = file.read()
    try:
        root, settings = yaml.compose(text), yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as reason:
        raise FileError(f"{path} is not YAML: {reason}") from reason
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise FileError(f"{path} takes lines `name: value`, got {type(settings).__name__}")
    for node, _ in root.value:
        if node.value.replace("-", "_") not in known:
            nearest = difflib.get_close_matches(node.value, known, n=1, cutoff=0)
            raise FileError(
                f"{path}, line {node.start_mark.line + 1}: unknown setting `{node.value}`; the "
                f"nearest known one is `{nearest[0]}`"
            )
    return {name: value for name, value in settings.items() if value is not None}
