"""`make bench`: the runner, the planning and the kernels, each against what one would take."""

from benchmarks import kernels, planning, runner, sequence_kernels

runner.main()
planning.main()
kernels.main()
sequence_kernels.main()
