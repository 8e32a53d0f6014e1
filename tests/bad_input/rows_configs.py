"""Configs and experiments are refused when they are made."""

from case import Case, contrastive_shape, shape

from prior_lab.data.feeding.augmentation import Augmentation
from prior_lab.models import AutoencoderConfig, ContrastiveConfig
from prior_lab.tasks import ContrastiveExperiment, ReconstructionExperiment, experiment_from_json

NAN, INF = float("nan"), float("inf")


def _field(make: object, name: str, value: object, says: str) -> Case:
    return Case(f"{make.__name__} {name}={str(value)[:20]!r}", lambda _: make(**{name: value}), says)


WHOLE, NUMBER = "a whole number was expected", "a number( or None)? was expected"
CASES = [
    *(
        _field(make, name, value, f"^{name} is .*{says}")
        for make in (ReconstructionExperiment, ContrastiveExperiment)
        for name in ("steps", "batch_size", "log_every", "validate_every", "validation_images")
        for value, says in ((0, "at least 1"), (1.5, WHOLE), (NAN, WHOLE), ("3", WHOLE), (True, WHOLE), (None, WHOLE))
    ),
    *(
        _field(ReconstructionExperiment, name, value, f"^{name} is .*{says}")
        for name in ("learning_rate", "clip_norm", "weight_decay", "rate_weight", "prediction_weight", "rate_warmup")
        for value, says in ((NAN, "finite"), (INF, "finite"), (-1.0, "must"), ("a", NUMBER), ([], NUMBER))
    ),
    *(
        _field(ReconstructionExperiment, name, value, says)
        for name, value, says in (
            ("precision", "16", "one of auto, 32-true, bf16-mixed was expected"),
            ("precision", "bogus", "one of auto"),
            ("precision", None, "one of auto"),
            ("seed", 2**64, "at most"),
            ("seed", -1, "not be negative"),
            ("seed", 1.0, WHOLE),
            ("warmup_steps", -1, "not be negative"),
            ("average_decay", 1.1, r"lie in 0\.\.1"),
            ("flip", 2, r"lie in 0\.\.1"),
            ("model", None, "an AutoencoderConfig was expected"),
            ("model", contrastive_shape(), "an AutoencoderConfig was expected"),
            ("model", {"ordering": "prior"}, "model is a dict"),
            ("data", 3, "a text was expected"),
            ("path", 3, "a text or None was expected"),
            ("convert", "bgr", "rgb"),
            ("unreadable", "pass", "raise, skip"),
        )
    ),
    *(
        _field(shape, name, value, f"^{name} is .*{says}")
        for name in ("encoder_depth", "decoder_depth", "predictor_depth")
        for value, says in ((-1, "at least 1"), (0, "at least 1"), (10**9, "at most"), (1.0, WHOLE), (None, WHOLE))
    ),
    *(
        _field(make, name, value, f"^{name} is .*{says}")
        for make in (AutoencoderConfig, ContrastiveConfig)
        for name, value, says in (
            ("width", 100, "multiple of 32"),
            ("width", 3_200_000, "at most"),
            ("width", 0, "at least 32"),
            ("channels", -32, "at least 32"),
            ("levels", 0, "at least 1"),
            ("levels", 64, "at most"),
            ("image_size", -1, "at least"),
            ("image_size", 10**12, "at most"),
            ("free_nats", NAN, "finite"),
            ("free_nats", -1, "not be negative"),
            ("free_nats", "a", NUMBER),
            ("batch_entropy", INF, "finite"),
            ("batch_entropy", -1.0, "not be negative"),
        )
    ),
    *(
        _field(make, name, value, says)
        for make in (AutoencoderConfig, ContrastiveConfig)
        for name, value, says in (
            ("ordering", "prio", "Unknown ordering 'prio'; choose one of prior"),
            ("ordering", None, "Unknown ordering"),
            ("ordering", ["prior"], "Unknown ordering"),
            ("tokens", "vq", "Unknown token kind 'vq'; choose one of"),
            ("tokens", 3, "Unknown token kind"),
            ("prediction_average", "images", "Unknown prediction_average 'images'; choose one of levels, tokens"),
        )
    ),
    _field(shape, "image_size", 48, "powers of two"),
    _field(shape, "patch", 16, "at most a quarter of the size"),
    _field(shape, "coarsest_side", 3, "^coarsest_side is 3; it must be a power of two"),
    _field(shape, "coarsest_side", 1, "^coarsest_side is 1; it must be at least 2"),
    _field(shape, "coarsest_side", 4.0, WHOLE),
    _field(shape, "decoder_width", 48, "multiple of 32"),
    _field(contrastive_shape, "sides", (3, 4), "ascending powers of two"),
    _field(contrastive_shape, "sides", (), "ascending powers of two"),
    _field(contrastive_shape, "sides", "48", "a sequence"),
    _field(contrastive_shape, "sides", (4, "8"), "sides holds '8'"),
    _field(contrastive_shape, "sides", (4, 64), "at least the largest of sides"),
    _field(contrastive_shape, "patches", 2.5, WHOLE),
    _field(contrastive_shape, "registers", 0, "at least 1"),
    _field(contrastive_shape, "density", INF, "finite"),
    _field(contrastive_shape, "density", 0.0, "above 0"),
    _field(ContrastiveExperiment, "temperature", 0, "above 0"),
    _field(ContrastiveExperiment, "augmentation", {"flip": 1}, "an Augmentation was expected"),
    *(
        _field(Augmentation, name, value, f"^augmentation {name} is .*{says}")
        for name in ("shift", "turn", "scale", "flip", "colour", "hue", "grey")
        for value, says in ((NAN, "finite"), (-0.1, "must"), ("a", NUMBER), (None, NUMBER))
    ),
    *(
        Case(f"experiment_from_json {text[:20]!r}", lambda _, text=text: experiment_from_json(text), says)
        for text, says in (
            ("", "The experiment is not JSON"),
            ("{", "The experiment is not JSON"),
            ("[" * 200_000, "nested too deep"),
            ("3", "not the JSON of an experiment"),
            ("{}", "not the JSON of an experiment"),
            ('{"task": "dance"}', "no task 'dance'; choose reconstruction or contrastive"),
            ('{"model": {"depth": 3}}', "not the JSON of an experiment"),
            ('{"model": {}, "steps": "many"}', "steps is 'many'"),
        )
    ),
    *(
        Case(f"from_json {text[:20]!r}", lambda _, text=text: AutoencoderConfig.from_json(text), says)
        for text, says in (
            ("no", "config is not JSON"),
            ("[]", "no other fields than"),
            ('{"depth": 1}', "no other fields than"),
            ('{"encoder_depth": 1000000000}', "encoder_depth is 1000000000; it must be at most 64"),
        )
    ),
    Case("preset", lambda _: AutoencoderConfig.preset("desktop"), "Unknown preset 'desktop'; choose laptop or paper"),
    Case("contrastive preset", lambda _: ContrastiveConfig.preset(None), "Unknown preset None; choose laptop or paper"),
]
