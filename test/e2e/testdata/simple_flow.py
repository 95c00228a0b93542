"""The flow of tritonclient's own simple example: liveness, metadata, inference, statistics. usage: simple_flow.py ADDRESS"""
import sys

import numpy
import tritonclient.grpc as grpcclient

client = grpcclient.InferenceServerClient(url=sys.argv[1])
assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("simple")

metadata = client.get_model_metadata("simple")
assert metadata.name == "simple", metadata
assert [i.name for i in metadata.inputs] == ["INPUT0", "INPUT1"], metadata
assert [o.name for o in metadata.outputs] == ["OUTPUT0", "OUTPUT1"], metadata
client.get_server_metadata()
client.get_model_config("simple")

input0 = numpy.arange(16, dtype=numpy.int32).reshape(1, 16)
input1 = numpy.ones((1, 16), dtype=numpy.int32)
inputs = [grpcclient.InferInput("INPUT0", [1, 16], "INT32"), grpcclient.InferInput("INPUT1", [1, 16], "INT32")]
inputs[0].set_data_from_numpy(input0)
inputs[1].set_data_from_numpy(input1)
outputs = [grpcclient.InferRequestedOutput("OUTPUT0"), grpcclient.InferRequestedOutput("OUTPUT1")]
for some in (outputs, None):
    results = client.infer(model_name="simple", inputs=inputs, outputs=some)
    assert numpy.array_equal(results.as_numpy("OUTPUT0"), input0 + input1), results
    assert numpy.array_equal(results.as_numpy("OUTPUT1"), input0 - input1), results

statistics = client.get_inference_statistics(model_name="simple")
assert len(statistics.model_stats) == 1, statistics
assert statistics.model_stats[0].inference_count >= 2, statistics
print("PASS: simple flow")
