"""The one exception a user of the laboratory meets when what was given cannot be used."""


class InputError(ValueError):
    """Wrong input, reported in one sentence: what was wrong, what was expected, what is available.

    Every public entry point raises this (a ``ValueError``) for a wrong path, shape, dtype, budget, config, label file
    or checkpoint. The command line prints the sentence without a traceback.

    Examples
    --------
    >>> import prior_lab as pl
    >>> try:
    ...     pl.load_study("household")
    ... except pl.InputError as error:
    ...     print(error)
    There is no bundled study 'household'; the nearest are ...
    """
