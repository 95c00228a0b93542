#!/usr/bin/python3
"""Adds two vectors with pyopencl and compares the sum with numpy's."""

import numpy
import pyopencl

COUNT = 1 << 20
SOURCE = """
kernel void add(global const float *a, global const float *b, global float *sum) {
    size_t i = get_global_id(0);
    sum[i] = a[i] + b[i];
}
"""


def main():
    context = pyopencl.Context(pyopencl.get_platforms()[0].get_devices()[:1])
    print(f"device: {context.devices[0].name}")
    queue = pyopencl.CommandQueue(context)
    random = numpy.random.default_rng(1)
    a, b = (random.random(COUNT, dtype=numpy.float32) for _ in range(2))
    flags = pyopencl.mem_flags
    a_buffer, b_buffer = (
        pyopencl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=values)
        for values in (a, b))
    sum_buffer = pyopencl.Buffer(context, flags.WRITE_ONLY, a.nbytes)
    program = pyopencl.Program(context, SOURCE).build()
    program.add(queue, a.shape, None, a_buffer, b_buffer, sum_buffer)
    found = numpy.empty_like(a)
    pyopencl.enqueue_copy(queue, found, sum_buffer)
    if not numpy.array_equal(found, a + b):
        raise SystemExit("wrong: the sum is not numpy's")
    print(f"vector_add.py: {COUNT} sums are right")


if __name__ == "__main__":
    main()
