"""The cvxpy backend: any solver cvxpy knows, rebuilt for every decision. Slow, and independent of HiGHS."""

from __future__ import annotations

from typing import final

import cvxpy
import numpy as np

from tropnet.arrays.types import FloatArray
from tropnet.feasibility.floating import FloatingBackend, Proposal

__all__ = ["CvxpyBackend"]


@final
class CvxpyBackend(FloatingBackend):
    """Maximise the slack with cvxpy (needs the extra ``tropnet[cvxpy]``)."""

    def _solve(self, rows: FloatArray) -> Proposal | str:
        x, slack = cvxpy.Variable(self.dimension), cvxpy.Variable()
        sides = rows[:, :-1] @ x + rows[:, -1] >= slack
        problem = cvxpy.Problem(cvxpy.Maximize(slack), [sides, slack <= 1])
        try:
            problem.solve(solver=cvxpy.CLARABEL)
        except cvxpy.error.SolverError as error:
            return f"cvxpy failed: {error}"
        if problem.status != cvxpy.OPTIMAL:
            return f"cvxpy stopped with status {problem.status}"
        return Proposal(np.asarray(x.value), float(slack.value), np.abs(sides.dual_value))
