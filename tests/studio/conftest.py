"""Studios to speak to."""

import pytest
from studio_helpers import serve


@pytest.fixture
def client(tmp_path):
    """Of a studio that paints nothing, whose folder is `tmp_path`."""
    with serve(tmp_path) as client:
        yield client
