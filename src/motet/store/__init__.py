"""SQL, and nothing of it elsewhere: the database, and one group of tables a file.

Rows here are plain values of their own; what they mean is for the rooms above.
"""
