"""What `make test` has a short form of: the whole is run by `make soak PARTS=tests`."""

from __future__ import annotations

import os

import pytest

WHOLE = os.environ.get("TABSYNC_TESTS") == "whole"
"""Whether everything is run, however long it takes."""

MAJORS = [15, 17, 18] if WHOLE else [15, 18]
"""For long tests in which versions matter: the oldest and the newest. 17 is what all other tests run on."""

OLDEST = [15, 17, 18] if WHOLE else [15]
"""For longer ones."""

whole = pytest.mark.whole
"""A test that is only run there: it is long, and others show most of what it does."""
