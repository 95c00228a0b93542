"""Keeps the device busy with one kernel for minutes, and says which error ends the wait for it."""
import time

import numpy
import pyopencl

context = pyopencl.create_some_context(interactive=False)
queue = pyopencl.CommandQueue(context)
program = pyopencl.Program(context, """
__kernel void spin(__global uint *out, ulong rounds) {
  uint x = get_global_id(0) + 1;
  for (ulong i = 0; i < rounds; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
  }
  out[get_global_id(0)] = x;
}
""").build()
out = pyopencl.Buffer(context, pyopencl.mem_flags.WRITE_ONLY, 4)
program.spin(queue, (1,), None, out, numpy.uint64(1))
queue.finish()
program.spin(queue, (1,), None, out, numpy.uint64(1 << 40))
queue.flush()
print("spinning", flush=True)
try:
    queue.finish()
    print("finished")
except pyopencl.Error as error:
    print(f"error at {time.time():.6f}: {error}", flush=True)
