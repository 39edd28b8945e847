"""How an expert is made, everywhere: its engine's class, the checked options, the object."""

from __future__ import annotations

from motet.config import ExpertEntry, Options
from motet.experts import ENGINES, Expert
from motet.weights import Setting


def engine_of(entry: ExpertEntry) -> type[Expert]:
    """Return the class of an expert's engine.

    Raises
    ------
    ConfigError
        There is no such engine, or its module cannot be imported.
    """
    return ENGINES.load(entry.engine)


def holds_model(entry: ExpertEntry) -> bool:
    """Return whether an expert has an engine of its own to be loaded.

    It has none where it only waits on a network, or shares its base's engine, or is disabled.
    """
    return entry.enabled and engine_of(entry).home != "ingress" and entry.base is None


def build(
    entry: ExpertEntry,
    setting: Setting,
    options: Options | None = None,
    engine: type[Expert] | None = None,
) -> Expert:
    """Return the expert of an entry, which is not started; reads no file and loads no model.

    Parameters
    ----------
    options
        The engine's options; those of the entry, checked here, when absent.
    engine
        Its class, where that is not the one that the entry names.

    Raises
    ------
    ConfigError
        There is no such engine.
    pydantic.ValidationError
        The entry's options are not the engine's.
    """
    engine = engine or engine_of(entry)
    if options is None:
        options = engine.Config.model_validate(entry.options)
    return engine(entry, options, setting)
