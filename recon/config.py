"""Settings of a command from a YAML file, under its flags."""

import json
from pathlib import Path

from recon.io import FileError
from recon.io.files import opened
from recon.names import ALIKE, most_alike


def fill_in(app, commands, arguments):
    """Fills in from the file of --config what the command's flags leave open (for cyclopts).

    Args:
        app, commands: the cyclopts App and the names that lead to its command.
        arguments: its ArgumentCollection, with what the command line gave.
    Raises:
        FileError: no such file, no YAML, or a key that is no setting of the command.
    """
    from cyclopts import App
    from cyclopts.config import Dict

    for argument in arguments:
        if "--config" in argument.names and argument.tokens:
            path = Path(argument.tokens[-1].value)
            others = [other for other in arguments if other is not argument]
            # The first name is the flag's in full; others are short ones and those that negate.
            names = {_plain(other.names[0]): other.hint is bool for other in others}
            switches = [name for name, switch in names.items() if switch]
            settings = read_settings(path, list(names), switches)
            # In YAML's words: cyclopts would take the keys of a dict for settings of their own.
            settings = {name: json.dumps(value) if isinstance(value, dict) else value
                        for name, value in settings.items()}
            # Not our own App: settings of the name of one of its commands would be passed over.
            Dict(settings, source=str(path), use_commands_as_keys=False)(App(), (), arguments)


def read_settings(path, known, switches=()):
    """Settings of a YAML file, a dict; those that are null are left out.

    Args:
        path: the file, one `name: value` for each setting.
        known: names of settings, with underscores; a file may write hyphens, and `no_x: true`
            for `x: false`.
        switches: those that are true or false.
    Raises:
        FileError: see `fill_in`; with the line.
    """
    root, settings = read_yaml(path)
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise FileError(f"{path} takes lines `name: value`, got {type(settings).__name__}")
    if len(root.value) != len(settings):
        raise FileError(f"{path} has a setting twice; keep one of each")
    found = {}
    for (node, said), value in zip(root.value, settings.values(), strict=True):
        name, where = _plain(node.value), f"{path}, line {node.start_mark.line + 1}"
        if name not in switches and said.value in ("on", "off"):
            value = said.value  # YAML takes these words for true and false
        # cyclopts would take `no_x: true` for `x: true`.
        if isinstance(value, bool) and name.removeprefix("no_") in switches:
            value = value != name.startswith("no_")
            name = name.removeprefix("no_")
        if name not in known:
            raise FileError(f"{where}: unknown setting `{node.value}`; {nearest(name, known)}")
        if isinstance(value, bool) and name not in switches:
            raise FileError(
                f"{where}: `{node.value}` takes a value, got {str(value).lower()}; leave the line "
                "out to go without"
            )
        found[name] = value
    return {name: value for name, value in found.items() if value is not None}


def read_yaml(path):
    """What a YAML file holds, with the lines that it stands on.

    Returns:
        The root node of `yaml.compose`, and the values of `yaml.safe_load`; None of an empty file.
    Raises:
        FileError: it cannot be read or is no YAML; with the line.
    """
    import yaml

    try:
        with opened(path, "r", encoding="utf-8") as file:
            text = file.read()
        return yaml.compose(text), yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as reason:
        mark = getattr(reason, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise FileError(
            f"{path}{line} is not YAML: {getattr(reason, 'problem', reason)}"
        ) from reason


def nearest(name, known):
    """Words that offer the nearest of the known names, or all where none is near."""
    near = most_alike(name, known, least=ALIKE)
    if near:
        return f"the nearest known one is `{near}`"
    return f"known are {', '.join(known)}"


def _plain(name):
    return name.lstrip("-").replace("-", "_")
