"""`make bench`: the runner, the planning, its growth, and the kernels, against their rivals."""

from benchmarks import growth, kernels, planning, runner, sequence_kernels

runner.main()
planning.main()
growth.main((48, 480))
kernels.main()
sequence_kernels.main()
