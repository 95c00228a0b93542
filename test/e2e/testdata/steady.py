"""Computes on the first OpenCL device until its standard input ends, and verifies every result.

Prints when each round began, once it has ended, and "right: N rounds" at the end."""
import select
import sys
import time

import numpy
import pyopencl

context = pyopencl.create_some_context(interactive=False)
queue = pyopencl.CommandQueue(context)
program = pyopencl.Program(context, """
__kernel void walk(__global uint *x) {
  uint state = x[get_global_id(0)];
  for (uint i = 0; i < 20000; i++) state = state * 1664525u + 1013904223u;
  x[get_global_id(0)] = state;
}
""").build()
states = numpy.arange(256, dtype=numpy.uint32)
buffer = pyopencl.Buffer(context, pyopencl.mem_flags.READ_WRITE | pyopencl.mem_flags.COPY_HOST_PTR, hostbuf=states)
multiplier, increment = 1, 0
for _ in range(20000):
    multiplier, increment = multiplier * 1664525 % 2**32, (increment * 1664525 + 1013904223) % 2**32
rounds = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    began = time.time()
    program.walk(queue, states.shape, None, buffer)
    states = states * numpy.uint32(multiplier) + numpy.uint32(increment)
    result = numpy.empty_like(states)
    pyopencl.enqueue_copy(queue, result, buffer)
    if not numpy.array_equal(result, states):
        sys.exit(f"wrong in round {rounds}")
    rounds += 1
    print("round began at", began, flush=True)
print(f"right: {rounds} rounds", flush=True)
