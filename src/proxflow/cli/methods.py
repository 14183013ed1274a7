"""The ways to make new samples, by name: which options each has, and the estimator that these options are of.

| name | estimator | new samples are |
| --- | --- | --- |
| gpa | `ParticleTransport` | particles, moved together along the potentials |
| proximal | `ProximalFlow` | fresh source points, carried by a velocity that was trained |
| gan | `GammaGAN` | fresh latents, through a network that was trained |

An option means the same for all methods that have it; one that is not given is the method's own default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["METHODS", "check_options", "chosen_methods", "estimator_for", "only_own"]

METHODS = ("gpa", "proximal", "gan")

# Options of some methods only. Those of the first line say what the data are, so that methods without them cannot run
# beside the others; the rest wait for the methods that have them.
_OF_DATA = ("label", "stream")
_OWN: dict[str, tuple[str, ...]] = {
    "gpa": (*_OF_DATA, "distributed", "integrator", "step_size", "smoothing", "max_copies"),
    "proximal": ("form", "network", "kinetic_weight", "blocks", "noise"),
    "gan": ("generator",),
}
_SHARED = ("f", "alpha", "L", "gamma", "steps", "width", "depth", "updates", "learning_rate", "batch_size", "scaling")
_RENAMED = {("gpa", "integrator"): "method", ("gan", "source"): "noise"}


def chosen_methods(text: str) -> tuple[str, ...]:
    """The methods that --method names, with commas between; ValueError for any other word."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in METHODS:
            raise ValueError(
                f"unknown --method {name!r}: choose gpa, proximal or gan, or several with commas between. (How"
                " particles step, such as heun, is --integrator.)"
            )
    return names


def check_options(methods: Sequence[str], given: Mapping[str, Any]) -> None:
    """Raise ValueError for an option that was given and that none of the methods has."""
    for name, value in given.items():
        owners = [method for method in METHODS if name in _OWN[method]]
        if not owners or value is None or value is False:
            continue
        lacking = [method for method in methods if method not in owners]
        if lacking and (name in _OF_DATA or len(lacking) == len(methods)):
            raise ValueError(
                f"--{name.replace('_', '-')} is an option of --method {' and '.join(owners)}, and --method"
                f" {lacking[0]} has none: leave one of them out."
            )


def only_own(method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a command for one method: those of others as if they had not been given."""
    others = {name for other in METHODS for name in _OWN[other]} - set(_OWN[method])
    kept = {
        name: (False if isinstance(value, bool) else None) if name in others else value
        for name, value in arguments.items()
    }
    return kept | {"method": method}


def estimator_for(
    method: str, options: Mapping[str, Any], *, n_particles: int | None = None, source: str | None = None,
    labels: Any = None, image: tuple[int, int] | None = None,
) -> Any:  # fmt: skip
    """An unfitted estimator with these options of the command line; None is the method's own default."""
    elsewhere = (*_OF_DATA, "distributed")
    named = {name: options.get(name) for name in (*_SHARED, *_OWN[method]) if name not in elsewhere}
    named |= {"source": source}
    parameters: dict[str, Any] = {
        _RENAMED.get((method, name), name): value for name, value in named.items() if value is not None
    }  # fmt: skip
    parameters |= {
        "n_particles": n_particles, "reverse": bool(options.get("reverse")), "bounds": _box(options.get("bounds")),
        "random_state": options["seed"], "progress": True,
    }  # fmt: skip
    if method == "gpa":
        from proxflow.estimators import ParticleTransport

        fixed = 0 if labels is None else len(labels.labelling.classes)
        return ParticleTransport(
            **parameters, fixed_columns=fixed, memory_budget=options.get("keep_flow") or 0.0,
            devices="all" if options.get("distributed") else None,
        )  # fmt: skip
    if method == "proximal":
        from proxflow.proximal_flow import ProximalFlow

        return ProximalFlow(**parameters)
    from proxflow.gamma_gan import GammaGAN

    if image is not None and parameters.get("generator") == "convolutional":
        parameters["image"] = image
    return GammaGAN(**parameters)


def _box(text: str | None) -> tuple[float, float] | None:
    """The two numbers of --bounds."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--bounds must be LOW,HIGH, such as 0,1, got {text!r}.") from None
    return low, high
