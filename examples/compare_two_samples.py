"""Say how different two samples are, and in which features.

    python examples/compare_two_samples.py [--quick]

Malignant against benign tumours, 30 measurements each (scikit-learn's breast cancer data). The yardstick is what two
halves of the benign sample score: finite samples of one distribution are never at distance 0. Bad at: saying whether a
difference matters; the units are standard deviations.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from proxflow import divergence

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
steps = 200 if parser.parse_args().quick else 3000

data = load_breast_cancer()
points = StandardScaler().fit_transform(data.data)  # one unit for all columns: nothing is rescaled inside
malignant, benign = points[data.target == 0], points[data.target == 1]

# Like sizes, so that the two numbers can be compared.
size = len(benign) // 2
shuffled = np.random.default_rng(0).permutation(benign)
apart = divergence(malignant[:size], shuffled[:size], f="kl", L=1.0, steps=steps)
halves = divergence(shuffled[size : 2 * size], shuffled[:size], f="kl", L=1.0, steps=steps)

print(apart)
print(f"\nTwo halves of the benign sample: {halves.lower:.3f}; the two diagnoses: {apart.lower:.3f}")

slopes = apart.potential.gradient(malignant[:size])  # where the potential is steep the two differ
strength = np.abs(slopes).mean(axis=0)
print("\nFeatures that tell them apart most, by the mean slope of the potential:")
for index in np.argsort(strength)[::-1][:5]:
    print(f"  {strength[index]:.3f}  {data.feature_names[index]}")
