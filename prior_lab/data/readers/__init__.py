"""Readers of data sets that lie outside the package: a file for each layout, and `tracks`, what they share."""
