"""Make more rows of a table with mixed columns, class by class, and see what models learn from them.

    python examples/augment_a_table.py [--quick]

The table is made up, so that its law is known: loans, a quarter of them paid late. Bad at: showing a gain. New rows
are variations of the old ones, and a model that reads 120 rows well learns little from more of the same.
"""

import argparse

import numpy as np
import pandas as pd

from proxflow import augment

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
choice = parser.parse_args()


def loans(rows, seed):
    """Numbers on several scales, a column half zeros, categories, a bool, and a label that they predict."""
    rng = np.random.default_rng(seed)
    late = rng.uniform(size=rows) < 0.25
    return pd.DataFrame({
        "age": rng.integers(18, 70, rows),
        "income": np.round(np.exp(rng.normal(8.0 - 0.6 * late, 0.6)), 2),
        "debt": np.where(rng.uniform(size=rows) < np.where(late, 0.2, 0.6), 0, rng.exponential(900, rows).round()),
        "city": np.where(rng.uniform(size=rows) < np.where(late, 0.7, 0.3), "Oslo", "Bern"),
        "owner": rng.uniform(size=rows) < np.where(late, 0.2, 0.6),
        "late": np.where(late, "yes", "no"),
    })  # fmt: skip


real = loans(120, seed=0)
result = augment(real, 400, "late", balance="equal", steps=30 if choice.quick else 500)
print("\n".join(result.lines()), "\n")
print(result.table.head(8), "\n")

# The law is known here: 5000 fresh rows say how well the new ones match it.
truth = loans(5000, seed=1)
for late in ("no", "yes"):
    new, law = (rows[rows["late"] == late] for rows in (result.table, truth))
    print(f"late = {late}: {len(new)} new rows; new and true")
    print(f"  median income      {new['income'].median():8.0f} {law['income'].median():8.0f}")
    print(f"  share without debt {(new['debt'] == 0).mean():8.2f} {(law['debt'] == 0).mean():8.2f}")
    print(f"  share in Oslo      {(new['city'] == 'Oslo').mean():8.2f} {(law['city'] == 'Oslo').mean():8.2f}")
