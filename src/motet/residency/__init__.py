"""Which experts are in memory now: loaded when they are asked for, sent away for others."""
