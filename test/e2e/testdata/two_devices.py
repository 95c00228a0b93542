"""A buffer that goes back and forth between two devices of one context; prints the devices and whether its end is right."""

import numpy as np
import pyopencl as cl

ROUNDS = 20

devices = cl.get_platforms()[0].get_devices()
context = cl.Context(devices)
queues = [cl.CommandQueue(context, device) for device in devices]
program = cl.Program(context, "kernel void triple(global uint *a) { a[get_global_id(0)] *= 3; }").build()
numbers = np.arange(4096, dtype=np.uint32)
buffer = cl.Buffer(context, cl.mem_flags.READ_WRITE, numbers.nbytes)
last = cl.enqueue_copy(queues[0], buffer, numbers, is_blocking=False)
for i in range(ROUNDS):
    queue = queues[i % len(queues)]
    queues[(i + 1) % len(queues)].flush()
    last = program.triple(queue, numbers.shape, None, buffer, wait_for=[last])
result = np.empty_like(numbers)
cl.enqueue_copy(queues[0], result, buffer, wait_for=[last])
for device in devices:
    print(device.name, device.global_mem_size)
print("right" if (result == numbers * np.uint32(3**ROUNDS & 0xFFFFFFFF)).all() else "wrong")
