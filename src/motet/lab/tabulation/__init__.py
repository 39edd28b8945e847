"""Routing tables from real runs: every expert answers every prompt, and graders judge."""

from motet.lab.tabulation.answers import AnswerLog, RecordedAnswer
from motet.lab.tabulation.build import Tabulation, Totals, ask, started, tabulate
from motet.lab.tabulation.prompts import Prompt, prompts_of, read_prompts
from motet.lab.tabulation.purse import Purse
from motet.lab.tabulation.state import state_of
from motet.lab.tabulation.synthesis import synthesis_prompts, synthesis_results

__all__ = [
    "AnswerLog",
    "Prompt",
    "Purse",
    "RecordedAnswer",
    "Tabulation",
    "Totals",
    "ask",
    "prompts_of",
    "read_prompts",
    "started",
    "state_of",
    "synthesis_prompts",
    "synthesis_results",
    "tabulate",
]
