"""Times the kernels beside other libraries that compute attention on the CPU."""
