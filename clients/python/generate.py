"""Writes konsil/_kinds.py: a method for each kind of analysis, from the answer of /api/v1/analyses.

python generate.py URL TOKEN
"""

from __future__ import annotations

import keyword
import sys
import textwrap
from pathlib import Path
from typing import Any

# the interface has the names of options alone; anything else is a text
TYPES = {
    "bool": "baseline concordance doses meta ml paired raw sealed smd tests trend var_equal zph",
    "int": "axes bins cycles folds hits_max imputations iterations k points seed starts ties_max window",
    "float": "alpha background below hwe kinship lambda maf missing_max mu r2 rmean",
    "Sequence[float]": "coefficients cutoffs",
    "Sequence[str]": "condition incomplete models traits",
}
# they follow from the files that are given
FOLLOW = "chromosomes condition_at range set_list variants x".split()
# kinds that take variables, or either
VARIABLES = "summary histogram table1 t_test signed_rank mcnemar cor spearman pca kmeans".split()
NOTHING = "variant_qc ld relatives".split()

WIDTH = 120
HEAD = '''"""A method for each kind of analysis. Written by generate.py from what the program says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Sequence

if TYPE_CHECKING:
    from .study import Analysis


class Kinds:
    """Methods of a study. Each makes an analysis and asks for nothing yet."""

    def analysis(self, kind: str, *what: str, id: Optional[str] = None, **options: Any) -> Analysis:
        """An analysis of any kind."""
        raise NotImplementedError
'''


def type_of(option: str) -> str:
    return next((kind for kind, names in TYPES.items() if option in names.split()), "str")


def method(entry: dict[str, Any]) -> str:
    kind = entry["kind"]
    first, passed = ("formula: str", "formula")
    if kind in VARIABLES:
        first, passed = ("*what: str", "*what")
    elif "models" in entry["options"]:
        first, passed = ('formula: str = ""', "formula")
    elif kind in NOTHING:
        first, passed = ("", "")
    options = [it for it in entry["options"] if it not in FOLLOW]
    names = {it: f"{it}_" if keyword.iskeyword(it) else it for it in options}
    wanted = {it: "bool = False" if type_of(it) == "bool" else f"Optional[{type_of(it)}] = None" for it in options}
    given = [f"{names[it]}: {wanted[it]}" for it in options] + ["id: Optional[str] = None"]
    star = [] if first.startswith("*") else ["*"]
    arguments = [it for it in ["self", first, *star, *given] if it]
    line = f"    def {kind}({', '.join(arguments)}) -> Analysis:\n"
    if len(line) > WIDTH:
        line = f"    def {kind}(\n" + "".join(f"        {it},\n" for it in arguments) + "    ) -> Analysis:\n"
    handed = ", ".join(
        [f'"{kind}"'] + [it for it in [passed] if it] + ["id=id"] + [f"{it}={it}" for it in names.values()]
    )
    call = f"        return self.analysis({handed})\n"
    if len(call) > WIDTH:
        # names have no spaces, so that lines end after commas
        inside = textwrap.fill(handed, WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 12)
        call = f"        return self.analysis(\n{inside}\n        )\n"
    title, example = entry["title"], entry["example"].replace("\\", "\\\\")
    text = f'        """{title[:1].upper()}{title[1:]}.\n\n        ``{example}``\n        """\n'
    return f"\n{line}{text}{call}"


def module(entries: list[dict[str, Any]]) -> str:
    return HEAD + "".join(method(it) for it in entries)


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    # the package may not be whole before this has run
    from konsil._http import Service, address_of

    entries = Service(*address_of(sys.argv[1], sys.argv[2])).get("/api/v1/analyses")
    Path(__file__).with_name("konsil").joinpath("_kinds.py").write_text(module(entries), encoding="utf-8")


if __name__ == "__main__":
    main()
