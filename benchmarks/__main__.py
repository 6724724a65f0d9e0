"""`make bench`: the runner, the planning and the kernels, each against what one would take."""

from benchmarks import kernels, planning, runner

runner.main()
planning.main()
kernels.main()
