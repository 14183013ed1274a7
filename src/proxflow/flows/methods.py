"""The table of methods by name: how particles follow dy/dt = -grad φ(y) from one step to the next.

| names | kind | order | fits per step |
| --- | --- | --- | --- |
| euler, heun, rk4 | Runge-Kutta, refitted at every stage | 1, 2, 4 | 1, 2, 4 |
| ab2 ... ab5 | Adams-Bashforth | 2 to 5 | 1 |
| abm2 ... abm5 | Adams-Bashforth-Moulton | 2 to 5 | 2 |
| heun_euler, bs23 | pairs that choose dt by their own error | 2, 3 | 2, 3 |

Bad at: stiff problems, all of them; an implicit step is a proximal one, which is another flow.
"""

from __future__ import annotations

from proxflow.flows.adams import Adams
from proxflow.flows.base import Method
from proxflow.flows.pairs import EmbeddedPair
from proxflow.flows.tableaus import RungeKutta

__all__ = ["METHODS"]

_HEUN = RungeKutta(2, ((), (1.0,)), (1 / 2, 1 / 2))
_BOGACKI_SHAMPINE = RungeKutta(3, ((), (1 / 2,), (0.0, 3 / 4)), (2 / 9, 1 / 3, 4 / 9))

METHODS: dict[str, Method] = {
    "euler": RungeKutta(1, ((),), (1.0,)),
    "heun": _HEUN,
    "rk4": RungeKutta(4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    **{f"ab{order}": Adams(order) for order in (2, 3, 4, 5)},
    **{f"abm{order}": Adams(order, corrected=True) for order in (2, 3, 4, 5)},
    "heun_euler": EmbeddedPair(2, _HEUN, (-1 / 2, 1 / 2, 0.0)),
    "bs23": EmbeddedPair(3, _BOGACKI_SHAMPINE, (-5 / 72, 1 / 12, 1 / 9, -1 / 8)),
}
