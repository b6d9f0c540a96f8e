"""Vectors for the conversion of zCDP into (epsilon, delta), by Google's dp-accounting.

    pip install dp-accounting==0.6.0
    python scripts/references/zcdp.py

Writes crates/governance/tests/vectors/zcdp.json. `epsilon` is the Renyi accountant's answer for
rho-zCDP on a dense grid of orders: an upper bound of the minimum over all orders, and close to it.
`gaussian` is the exact epsilon of one Gaussian mechanism of the same rho, by privacy loss
distributions: a bound from below for any correct conversion.
"""

import json
import math
import os

import dp_accounting
from dp_accounting import pld, rdp

RHOS = ["0.0001", "0.005", "0.02", "0.1", "0.25", "0.5", "1", "2", "8"]
DELTAS = [1e-5, 1e-6, 1e-9]
ORDERS = [1 + math.exp(-3 + 12 * step / 6000) for step in range(6001)]


def case(rho, delta):
    event = dp_accounting.ZCDpEvent(float(rho))
    accountant = rdp.RdpAccountant(ORDERS)
    accountant.compose(event)
    gaussian = pld.PLDAccountant()
    gaussian.compose(dp_accounting.GaussianDpEvent(1 / math.sqrt(2 * float(rho))))
    return {
        "rho": rho,
        "delta": delta,
        "epsilon": accountant.get_epsilon(delta),
        "gaussian": gaussian.get_epsilon(delta),
    }


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = os.path.join(here, "..", "..", "crates", "governance", "tests", "vectors")
    os.makedirs(folder, exist_ok=True)
    cases = [case(rho, delta) for rho in RHOS for delta in DELTAS]
    text = {"by": "dp-accounting 0.6.0", "cases": cases}
    with open(os.path.join(folder, "zcdp.json"), "w", encoding="utf-8") as file:
        json.dump(text, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
