"""What votes, cascades and rankers learn from recorded answers, and how it decides.

Pure functions of arrays: the strategies that ask live experts and the laboratory that replays
recorded ones decide by the same code. Applying what was learned needs numpy alone, but for telling
a query's task, which reads its words as the routers do.
"""
