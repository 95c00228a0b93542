"""Keeps the device busy with one kernel for minutes, of one work-group or of as many as the
argument says, and says which error ends the wait for it."""
import sys
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
groups = int(sys.argv[1]) if len(sys.argv) > 1 else 1
out = pyopencl.Buffer(context, pyopencl.mem_flags.WRITE_ONLY, 4 * groups)
program.spin(queue, (groups,), (1,), out, numpy.uint64(1))
queue.finish()
program.spin(queue, (groups,), (1,), out, numpy.uint64(1 << 40))
queue.flush()
print("spinning", flush=True)
try:
    queue.finish()
    print("finished")
except pyopencl.Error as error:
    print(f"error at {time.time():.6f}: {error}", flush=True)
