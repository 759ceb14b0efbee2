"""The command line that says what was asked for, written from a command's own function."""

import inspect
import json
import shlex


def command_line(function, settings):
    """The command line that does the same, whichever way the settings were given.

    Args:
        function: of the command; its name is the command's, its keyword-only parameters are flags.
        settings: values by the parameters' names; those left out or at their default are not said.
    """
    words = ["countless", function.__name__.replace("_", "-")]
    for name, parameter in inspect.signature(function).parameters.items():
        value = settings.get(name, parameter.default)
        values = value if isinstance(value, tuple) else [value]
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            words += map(str, values)
        elif value != parameter.default:
            flag = _flag(name, parameter.annotation)
            words += [f"--no-{flag[2:]}"] if value is False else [flag, *map(_word, values)]
    return shlex.join(words)


def _word(value):
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _flag(name, annotation):
    """A parameter's flag: the one its annotation names, or its own name's."""
    for note in getattr(annotation, "__metadata__", ()):
        if getattr(note, "name", None):
            return note.name[0]
    return flag_of(name)


def flag_of(name):
    """The flag of a setting: `--psf-mm` of psf_mm."""
    return f"--{name.replace('_', '-')}"
