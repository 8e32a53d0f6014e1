"""The command line: one sentence and exit code 2."""

from case import Case, Ground

from prior_lab.__main__ import main

BUNDLED = "household/reconstruction/prior-gaussian"


def _command(*arguments: str, says: str) -> Case:
    def call(_: Ground) -> object:
        return main(arguments)

    return Case(" ".join(argument[:24] or "''" for argument in arguments).replace("\0", "NUL"), call, says)


TRAIN = ("train", "--data", "folder", "--path", "pictures", "--image-size", "32", "--patch", "8", "--levels", "3")
LONG = "x" * 300
CASES = [
    *(
        _command(*TRAIN, "--out", out, says=says)
        for out, says in (
            ("text.txt", "'text.txt' cannot be written to"),
            ("text.txt/run", "cannot be written to"),
            (LONG, "than file systems take"),
        )
    ),
    *(
        _command("train", *flags, says=says)
        for flags, says in (
            (("--steps", "0"), "^steps is 0; it must be at least 1"),
            (("--steps", "-3"), "^steps is -3"),
            (("--learning-rate", "nan"), "^learning_rate is nan; it must be finite"),
            (("--learning-rate", "0"), "^learning_rate is 0.0; it must be above 0"),
            (("--width", "100"), "multiple of 32"),
            (("--encoder-depth", "1000000000"), "at most 64"),
            (("--levels", "99"), "at most 10"),
            (("--free-nats", "inf"), "must be finite"),
            (("--seed", "-1"), "not be negative"),
            (("--devices", "0"), "devices is 0; it must be at least 1"),
            (("--data", "nothing"), "there is no data set 'nothing'"),
            (("--data", "folder"), "folder"),
            (("--data", "folder", "--path", "nowhere"), "nowhere"),
            (("--data", "folder", "--path", "text.txt"), "text.txt"),
            (("--data", "folder", "--path", "notes"), "notes"),
            (("--task", "contrastive", "--temperature", "0"), "temperature is 0.0; it must be above 0"),
            (("--task", "contrastive", "--sides", "3", "4"), "ascending powers of two"),
            (("--task", "contrastive", "--flip", "2"), r"flip is 2.0; it must lie in 0\.\.1"),
        )
    ),
    *(
        _command("study", "out", *flags, says=says)
        for flags, says in (
            (("--name", "../../up"), "becomes that of a file"),
            (("--name", "a/b"), "becomes that of a file"),
            (("--name", ""), "becomes that of a file"),
            (("--workers", "0"), "workers is 0; it must be at least 1"),
            (("--steps", "0"), "steps is 0"),
            (("--seeds", "-1"), "seed is -1"),
        )
    ),
    _command("study", "text.txt", "--steps", "1", says="'.*text.txt' cannot be written to"),
    *(
        _command("search", *flags, "--steps", "2", "--out", "search", says=says)
        for flags, says in (
            (["--ordering", "vq"], "Unknown ordering 'vq'; choose among prior"),
            (["--ordering", ""], "Unknown ordering ''"),
            (["--space", "rate-weight"], "'rate-weight' is no setting to search; NAME=LOW:HIGH is"),
            (["--space", "rate-weight=a:b"], "'rate-weight=a:b' is no setting to search"),
            (["--space", "momentum=0.1:1"], "There is no setting 'momentum' to search"),
            (["--space", "rate-weight=0:1"], "which has no logarithm"),
            (["--space", "learning-rate=1:0.1"], "its bounds must be ascending"),
            (["--evaluations", "0"], "evaluations is 0"),
            (["--horizon", "0"], "steps is 0"),
            (["--price", "-1"], "price is -1.0"),
            (["--workers", "0"], "workers is 0"),
        )
    ),
    *(
        _command("measure", "notes", "--out", out, says=says)
        for out, says in (
            ("study.txt", "does not end in .nc"),
            ("text.txt/study.nc", "no folder in which one may write"),
            (f"{LONG}.nc", "than file systems take"),
            ("", "a text or a pathlib.Path was expected|does not end in .nc"),
            (".", "does not end in .nc"),
            ("study.nc", "holds no finished run"),
        )
    ),
    _command("measure", "notes", "--out", "s.nc", "--name", "../x", says="becomes that of a file"),
    _command("measure", "nowhere", "--out", "s.nc", says="holds no finished run"),
    _command("measure", LONG, "--out", "s.nc", says="than file systems take"),
    *(
        _command(command, model, says=says)
        for command in ("quality", "information", "probe")
        for model, says in (
            ("nothing", "There is no bundled model 'nothing'; the nearest are"),
            ("nowhere.safetensors", "There is no model file"),
            ("notes", "holds no finished run"),
            ("text.txt", "There is no bundled model"),
            (LONG, "than file systems take"),
        )
    ),
    *(
        _command("quality", BUNDLED, *flags, says=says)
        for flags, says in (
            (("--images", "0"), "images is 0; it must be at least 1"),
            (("--images", "-5"), "images is -5"),
            (("--split", "tests"), "split"),
            (("--split", ""), "split"),
            (("--data", "nothing"), "there is no data set 'nothing'"),
            (("--data", "folder", "--path", "nowhere"), "nowhere"),
        )
    ),
    _command("quality", "household/contrastive/prior-gaussian", says="has no decoder"),
    _command("probe", BUNDLED, says="is an autoencoder"),
    *(
        _command("explore", study, says=says)
        for study, says in (
            ("nothing", "There is no bundled study 'nothing'; the nearest are"),
            ("nowhere.nc", "There is no results file"),
            ("text.txt", "There is no bundled study"),
            (f"{LONG}.nc", "than file systems take"),
        )
    ),
    _command("explore", "--port", "99999", says="port is 99999; it must be at most 65,535"),
    _command("explore", "--port", "0", says="port is 0; it must be at least 1"),
    *(
        _command("data", "pack", *flags, says=says)
        for flags, says in (
            (("nothing", "--out", "packed"), "there is no data set 'nothing'"),
            (("household", "--out", "notes"), "is there already"),
            (("household", "--out", "text.txt/packed"), "could not be packed|cannot be"),
            (("folder", "--out", "packed", "--path", "nowhere"), "nowhere"),
            (("folder", "--out", "packed", "--path", "pictures", "--size", "0"), "size"),
            (("folder", "--out", "packed", "--path", "pictures", "--size", "-1"), "size"),
            (("household", "--out", "packed", "--splits", "tests"), "tests"),
            (("household", "--out", "packed", "--splits", "test", "test"), "each once"),
            (("household", "--out", LONG), "than file systems take"),
        )
    ),
    _command("data", "build", "household", "--source", "nowhere", says="nowhere"),
    _command("data", "build", "household", "--source", "notes", says="notes"),
]
