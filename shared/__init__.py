"""What the notebooks import: the study contract, evidence, data, models, kernels and figures."""

from shared.study import Study

__all__ = ["Study"]
