#!/usr/bin/env python3
"""Tails of the t, normal and chi-squared distributions to 25 digits (needs mpmath).

    python3 scripts/references/log_tails.py > crates/analyses/tests/vectors/log_tails.csv

Columns: t, z or c; the statistic; degrees of freedom; -log10 of the p value, two-sided for t and z.
"""

import mpmath as mp

mp.mp.dps = 40
T = "0.001 0.3 0.9 1.7 1.959963984540054 2.5 4 5.5 9.25 20 38.6 77 300 5000".split()
T_FREEDOM = "1 2 3 7.5 19 20 21 50 199 1000 5987 45980 1000000 100000000".split()
Z = "0 0.0001 0.5 1 1.959963984540054 3 4.999 5.001 8 20 27 37.5 38.6 60 150 400 678".split()
C_FREEDOM = "1 2 3 5 10 30 100 999 5000".split()
C_OVER_FREEDOM = [0.01, 0.4, 0.98, 1.02, 1.3, 2, 4, 10, 40]
TAIL_MAX = 100_001


def student(t, df):
    if df > 1000:
        return student_by_quadrature(t, df)
    x, a, b = df / (df + t * t), df / 2, mp.mpf(1) / 2
    beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    log = a * mp.log(x) + b * mp.log(1 - x) - mp.log(a) - beta
    return -(log + mp.log(mp.hyp2f1(a + b, 1, a + 1, x))) / mp.log(10)


def student_by_quadrature(t, df):
    """The density beyond t over the density at t, where the series would not end."""
    at_t = mp.log1p(t * t / df)
    density = lambda w: mp.exp(-(df + 1) / 2 * (mp.log1p((t + w) ** 2 / df) - at_t))
    width = 1 / ((df + 1) * t / (df + t * t) + mp.mpf(1) / 2)
    tail = mp.quad(density, [0] + [k * width for k in (1, 3, 8, 20, 50, 120)])
    height = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(df * mp.pi) / 2
    return -(mp.log(2 * tail) - (df + 1) / 2 * at_t + height) / mp.log(10)


def normal(z):
    return -mp.log(mp.erfc(z / mp.sqrt(2))) / mp.log(10)


def chi_squared(x, df):
    a, x = df / 2, x / 2
    if a < 200:
        return -(mp.log(mp.gammainc(a, x)) - mp.loggamma(a)) / mp.log(10)
    top = max(x, a)
    density = lambda w: mp.exp((a - 1) * mp.log(w / top) - (w - top))
    root = mp.sqrt(a)
    cuts = [x + k * root for k in (0.25, 2, 10)] + [a + k * root for k in (-20, -5, 0, 5, 20)]
    cuts += [top + k for k in (1, 5, 20, 60, 200, 1000, 3000)] + [top + 60 * root + 200]
    tail = mp.quad(density, [x] + sorted(set(it for it in cuts if it > x)))
    return -(mp.log(tail) + (a - 1) * mp.log(top) - top - mp.loggamma(a)) / mp.log(10)


def main():
    rows = [("t", t, df, student(mp.mpf(t), mp.mpf(df))) for df in T_FREEDOM for t in T]
    rows += [("z", z, "0", normal(mp.mpf(z))) for z in Z]
    for df in C_FREEDOM:
        for ratio in C_OVER_FREEDOM:
            x = repr(float(ratio) * float(df))
            rows.append(("c", x, df, chi_squared(mp.mpf(x), mp.mpf(df))))
    for x in ["3.84", "29.7", "600", "450000"]:
        rows.append(("c", x, "1", normal(mp.sqrt(mp.mpf(x)))))
        rows.append(("c", x, "2", mp.mpf(x) / 2 / mp.log(10)))
    print("tail,statistic,df,log10")
    for tail, statistic, df, log10 in rows:
        if log10 <= TAIL_MAX:
            print(f"{tail},{statistic},{df},{mp.nstr(log10, 25, strip_zeros=False)}")


if __name__ == "__main__":
    main()
