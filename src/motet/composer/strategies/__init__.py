"""How the experts of a decision become one answer; one strategy a file."""
