"""A figure of a result: the SVG file that the job has written."""

from __future__ import annotations

import os
from pathlib import Path


class Figure:
    """A figure. A notebook shows it; :meth:`save` writes it."""

    def __init__(self, name: str, svg: str) -> None:
        self.name = name
        self.svg = svg

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: "str | os.PathLike[str]") -> Path:
        """Writes the SVG file. Other kinds of pictures are made of it by programs such as Inkscape."""
        place = Path(path).expanduser()
        if place.suffix.lower() != ".svg":
            raise ValueError(f"{place}: figures are saved as .svg")
        place.write_text(self.svg, encoding="utf-8")
        return place

    def __repr__(self) -> str:
        return f"<figure {self.name}, {len(self.svg):,} characters of SVG; .save('{self.name}')>"
