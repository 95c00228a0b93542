"""Adds two vectors on the first OpenCL device and verifies every element. usage: vector_add.py [ROUNDS]"""
import sys

import numpy
import pyopencl

rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
context = pyopencl.create_some_context(interactive=False)
queue = pyopencl.CommandQueue(context)
program = pyopencl.Program(context, """
__kernel void add(__global const float *a, __global const float *b, __global float *sum) {
  int i = get_global_id(0);
  sum[i] = a[i] + b[i];
}
""").build()
random = numpy.random.default_rng(1)
flags = pyopencl.mem_flags
for _ in range(rounds):
    a = random.random(50000, dtype=numpy.float32)
    b = random.random(50000, dtype=numpy.float32)
    a_buffer = pyopencl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=a)
    b_buffer = pyopencl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=b)
    sum_buffer = pyopencl.Buffer(context, flags.WRITE_ONLY, a.nbytes)
    program.add(queue, a.shape, None, a_buffer, b_buffer, sum_buffer)
    result = numpy.empty_like(a)
    pyopencl.enqueue_copy(queue, result, sum_buffer)
    if not numpy.array_equal(result, a + b):
        sys.exit("wrong sum")
print(f"right: {rounds} rounds on {context.devices[0].name}")
