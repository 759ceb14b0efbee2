"""Settings of a command from a YAML file, under its flags."""

import difflib
from pathlib import Path

from recon.io import FileError
from recon.io.files import opened


def fill_in(app, commands, arguments):
    """Fills in from the file of --config what the command's flags leave open (for cyclopts).

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
            others = [other for other in arguments if other is not argument]
            names = [n for other in others for n in other.names if n not in other.negatives]
            settings = read_settings(path, [_plain(name) for name in names])
            Dict(settings, source=str(path), use_commands_as_keys=False)(app, commands, arguments)


def read_settings(path, known):
    """Settings of a YAML file, a dict; those that are null are left out.

    Args:
        path: the file, one `name: value` for each setting.
        known: names of settings, with underscores; a file may write hyphens, and `no_x: true`
            for `x: false`.
    Raises:
        FileError: see `fill_in`; with the line.
    """
    import yaml

    try:
        with opened(path, "r", encoding="utf-8") as file:
            text = file.read()
        root, settings = yaml.compose(text), yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as reason:
        mark = getattr(reason, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise FileError(
            f"{path}{line} is not YAML: {getattr(reason, 'problem', reason)}"
        ) from reason
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise FileError(f"{path} takes lines `name: value`, got {type(settings).__name__}")
    if len(root.value) != len(settings):
        raise FileError(f"{path} has a setting twice; keep one of each")
    found = {}
    for (node, _), value in zip(root.value, settings.values(), strict=True):
        name = _plain(node.value)
        # cyclopts would take `no_x: true` for `x: true`.
        if isinstance(value, bool) and name.startswith("no_"):
            name, value = name.removeprefix("no_"), not value
        if name not in known:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)
            raise FileError(
                f"{path}, line {node.start_mark.line + 1}: unknown setting `{node.value}`; the "
                f"nearest known one is `{nearest[0]}`"
            )
        found[name] = value
    return {name: value for name, value in found.items() if value is not None}


def _plain(name):
    return name.lstrip("-").replace("-", "_")
