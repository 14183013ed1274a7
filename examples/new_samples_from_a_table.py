"""Make new rows from a table, and judge them on rows that took no part.

    python examples/new_samples_from_a_table.py [--quick] [--out new_wines.csv]

The table is scikit-learn's wine data: 178 wines, 13 measurements in different units. Bad at: proving much, for 178
rows leave few to judge by.
"""

import argparse

import pandas as pd
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

from proxflow import ParticleTransport
from proxflow.trust import judge

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
parser.add_argument("--out", help="write the new rows to this CSV file")
choice = parser.parse_args()

table = load_wine(as_frame=True).data
train, test = train_test_split(table, test_size=0.3, random_state=0)

transport = ParticleTransport(n_particles=300, steps=40 if choice.quick else 500, random_state=0).fit(train)
new = pd.DataFrame(transport.particles_, columns=table.columns)
print(f"{len(new)} new wines from {len(train)}; {transport.stopped_}")
print(f"smoothing {transport.settings_['smoothing']:.2f}, columns scaled: {transport.settings_['scaling']}\n")
summary = {"mean": new.mean(), "of train": train.mean(), "deviation": new.std(), "that of train": train.std()}
print(pd.DataFrame(summary).round(2))

# in_units: columns as the fit saw them, divided by their deviations because their units differ so much.
made, seen, unseen = (transport.in_units(rows.to_numpy()) for rows in (new, train, test))
basis = f"{len(test)} held-out wines"
for name, rows in (("the new wines", made), ("a copier of the training wines", seen)):
    verdict = judge(rows, seen, seen, unseen, basis=basis)
    print(f"\n{name}, judged by {basis}:")
    print(f"  closeness {verdict.closeness:.2f}; 1 is as close to them as real wines are")
    print(f"  near copies {verdict.near_copies:.2f}; 0.05 for real wines, 1 for a copier")
    print(f"  median distance to the nearest training wine {verdict.nearest_new:.2f}; real: {verdict.nearest_real:.2f}")

if choice.out:
    new.to_csv(choice.out, index=False)
