"""What the tests of probes share."""

import pytest
from probe_samples import three_splits

from prior_lab.probes import Samples


@pytest.fixture(scope="session")
def splits() -> tuple[Samples, Samples, Samples]:
    """Training, validation and test; not to be changed."""
    return three_splits()
