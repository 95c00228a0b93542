"""Shares tensors with the gateway through files in memory, as tritonclient's examples do. usage: shared_memory_flow.py grpc|http ADDRESS"""

import importlib
import os
import sys

import numpy
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

protocol = importlib.import_module("tritonclient." + sys.argv[1])
client = protocol.InferenceServerClient(url=sys.argv[2])
client.unregister_system_shared_memory()
client.unregister_cuda_shared_memory()

metadata = client.get_server_metadata()
extensions = metadata["extensions"] if isinstance(metadata, dict) else metadata.extensions
assert "system_shared_memory" in extensions, metadata

input0 = numpy.arange(16, dtype=numpy.int32)
input1 = numpy.ones(16, dtype=numpy.int32)
size = input0.nbytes
key = "/sluice-e2e-%d-" % os.getpid()
given = shm.create_shared_memory_region("given", key + "inputs", 2 * size)
taken = shm.create_shared_memory_region("taken", key + "outputs", 2 * size)
try:
    shm.set_shared_memory_region(given, [input0, input1])
    client.register_system_shared_memory("given", key + "inputs", 2 * size)
    client.register_system_shared_memory("taken", key + "outputs", 2 * size)
    status = client.get_system_shared_memory_status()
    names = [region["name"] for region in status] if isinstance(status, list) else list(status.regions)
    assert sorted(names) == ["given", "taken"], status

    inputs = [protocol.InferInput("INPUT0", [1, 16], "INT32"), protocol.InferInput("INPUT1", [1, 16], "INT32")]
    inputs[0].set_shared_memory("given", size)
    inputs[1].set_shared_memory("given", size, offset=size)
    outputs = [protocol.InferRequestedOutput("OUTPUT0"), protocol.InferRequestedOutput("OUTPUT1")]
    outputs[0].set_shared_memory("taken", size)
    outputs[1].set_shared_memory("taken", size, offset=size)
    result = client.infer(model_name="simple", inputs=inputs, outputs=outputs)
    assert result.get_output("OUTPUT0") is not None, result.get_response()
    sums = shm.get_contents_as_numpy(taken, numpy.int32, [16])
    differences = shm.get_contents_as_numpy(taken, numpy.int32, [16], offset=size)
    assert numpy.array_equal(sums, input0 + input1), sums
    assert numpy.array_equal(differences, input0 - input1), differences
    del sums, differences  # they keep the memory mapped

    # Inputs there, outputs in the answer.
    result = client.infer(model_name="simple", inputs=inputs)
    assert numpy.array_equal(result.as_numpy("OUTPUT0"), (input0 + input1).reshape(1, 16)), result.get_response()

    client.unregister_system_shared_memory("given")
    try:
        client.infer(model_name="simple", inputs=inputs)
        raise AssertionError("a region that was unregistered is used")
    except InferenceServerException as refused:
        assert "given" in str(refused), refused
    client.unregister_system_shared_memory()
finally:
    shm.destroy_shared_memory_region(given)
    shm.destroy_shared_memory_region(taken)
print("PASS: shared memory flow")
