"""Prints the requirements of one extra of pyproject.toml, for an environment that has not Paretogate itself in it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main(extra: str) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sys.stdout.writelines(f"{requirement}\n" for requirement in project["optional-dependencies"][extra])


if __name__ == "__main__":
    main(sys.argv[1])
