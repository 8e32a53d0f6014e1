"""The course: what its notebooks check and slide, a module for each lesson, and the student's version of them.

A lesson's module holds the checks of its exercises (`check_...`, which print a line or raise `NotYet`) and its small
widgets. The lessons themselves are `notebooks/course/`.
"""

from prior_lab.teaching.exercises import NotYet

__all__ = ["NotYet"]
