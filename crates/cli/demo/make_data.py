"""Makes dialysis.csv from the package SurvSet of the Python package index (pip install SurvSet==0.2.11 pandas).

Facts: 6,805 patients on haemodialysis in 67 units of Rio de Janeiro (Sa Carvalho et al. 2003), as
distributed with SurvSet (GPL-3). Units are put together into six centres of like size, the largest
unit first, each to the centre that has the fewest patients so far.
"""

import pathlib
import pickle
import sys

import SurvSet

folder = pathlib.Path(SurvSet.__file__).parent / "resources" / "pickles"
with open(folder / "Dialysis.pickle", "rb") as file:
    table = pickle.load(file)

centres = {name: 0 for name in ("acacia", "brauna", "cedro", "figueira", "imbuia", "jatoba")}
of_unit = {}
sizes = table["fac_center"].value_counts()
for unit in sorted(sizes.index, key=lambda unit: (-sizes[unit], str(unit))):
    centre = min(centres, key=lambda name: (centres[name], name))
    of_unit[unit] = centre
    centres[centre] += int(sizes[unit])

out = sys.stdout
out.write("centre,age,begin,disease,months,died\n")
for row in table.itertuples():
    out.write(
        f"{of_unit[row.fac_center]},{row.num_age},{row.num_begin},{row.fac_disease},{row.time},{row.event}\n"
    )
