"""The hot loops: a plain reference, a fast CPU version and, where it pays, a Triton one."""
