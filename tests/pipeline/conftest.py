"""Each module of this folder has a pipeline of its own: engines, one worker, one sink."""

from collections.abc import Iterator

import pytest
from running import Pipeline
from scratch_stack import running_stack


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_stack(tmp_path_factory.mktemp("pipeline") / "data", workers=1, sinks=1) as settings:
        yield Pipeline(settings)
