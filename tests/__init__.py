"""Tests mirror the source tree; files of one name in two folders are two modules."""
