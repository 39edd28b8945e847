"""The CEL library, without the terminal that its package imports on the way (half of the time)."""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

from cel import Context, Program, compile  # noqa: E402

__all__ = ["Context", "Program", "compile"]
