"""The commands of the command line, a module for each group; what is slow to import, they import when they run."""
