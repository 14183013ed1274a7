"""Say how far apart two samples are, how far their laws, and which features moved.

    python examples/compare_two_samples.py [--quick]

Malignant against benign tumours, 30 measurements each (scikit-learn's breast cancer data). The yardstick is what two
halves of the benign sample give. Bad at: naming one feature. Radius, perimeter and area are nearly copies of one
another, and copies divide the share. The units are standard deviations.
"""

import argparse

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from proxflow import compare

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="one space of potentials instead of three that compete")
gamma = "groupsort" if parser.parse_args().quick else None

data = load_breast_cancer()
points = StandardScaler().fit_transform(data.data)  # one unit for all columns: nothing is rescaled inside
malignant, benign = points[data.target == 0], points[data.target == 1]

found = compare(malignant, benign, gamma=gamma, feature_names=data.feature_names)
print(found)

shuffled = np.random.default_rng(0).permutation(benign)
halves = compare(shuffled[:178], shuffled[178:], L=found.L, gamma=gamma)  # the same L: the same scale
print("\nTwo halves of the benign sample:")
print(f"  as samples {halves.lower:.2f} apart, as laws at least {halves.held_out_lower:.2f}; p = {halves.p_value:.2f}")
print(f"The two diagnoses: {found.lower:.2f}, at least {found.held_out_lower:.2f}; p = {found.p_value:.3f}")

print("\nWhat moved most:")
for feature in found.features[:5]:
    way = "larger" if feature.direction > 0 else "smaller"
    print(f"  {feature.share:4.0%}  {feature.name}: {way} in malignant tumours")

likest = np.argsort(found.weights)[::-1][:3]  # benign tumours that the divergence makes more of
print(f"\nBenign tumours most like malignant ones: {', '.join(map(str, np.flatnonzero(data.target == 1)[likest]))}")

# The diagnoses are apart, and not by chance. Halves are apart as samples, but not as laws.
assert found.converged
assert found.p_value < 0.01
assert found.held_out_lower > 1
assert halves.lower > 0.5
assert halves.held_out_lower == 0
assert all(feature.direction > 0 for feature in found.features[:5])
