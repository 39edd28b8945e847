"""New experts become known to learned routers and skill profiles."""

from motet.lab.coldstart.learn import PROMPTS, Learned, Lesson, learn, newcomers

__all__ = ["PROMPTS", "Learned", "Lesson", "learn", "newcomers"]
