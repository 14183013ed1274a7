"""Film a particle flow: an animated GIF, or small pictures in a PNG.

    python examples/watch_the_particles.py [--quick] [--out particles.gif] [--f kl] [--L 0.5]

Try --L 20 to see what a steep potential does, or --f ipm for the Wasserstein-1 flow. Bad at: more than three features,
which are seen through two principal components.
"""

import argparse
from pathlib import Path

from proxflow import ParticleTransport, plots
from proxflow.data.toy import TOY
from proxflow.entropies import NAMES

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: to see that it runs")
parser.add_argument("--out", type=Path, default=Path("particles.gif"), help="a .gif or .png file (%(default)s)")
parser.add_argument("--set", choices=sorted(TOY), default="two_spirals", help="the target (%(default)s)")
parser.add_argument("--f", choices=NAMES, default="kl", help="the entropy (%(default)s)")
parser.add_argument("--L", type=float, default=None, help="the Lipschitz constant (from the data)")
choice = parser.parse_args()

target = TOY[choice.set](400, 0)
transport = ParticleTransport(
    choice.f, L=choice.L, n_particles=400, steps=40 if choice.quick else 500, random_state=0
).fit(target)
print(f"{transport.n_steps_} steps; {transport.stopped_}")

if choice.out.suffix.lower() == ".png":
    plots.save_figure(plots.particles_over_time(transport.trajectory_, target), choice.out)
else:
    plots.animation(choice.out, transport.trajectory_, target, frames=12 if choice.quick else 40)
print(f"{choice.out}: {choice.out.stat().st_size / 1000:.0f} kB")
