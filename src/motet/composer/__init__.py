"""One request's way: its composition, its calls, a decision, and a strategy that answers."""
