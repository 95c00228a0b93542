"""The flow of tritonclient's own simple example: liveness, metadata, inference, streams, statistics. usage: simple_flow.py ADDRESS"""
import queue
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

answers = queue.Queue()
client.start_stream(callback=lambda result, error: answers.put((result, error)))
for number in range(8):
    client.async_stream_infer(model_name="simple", inputs=inputs, request_id=str(number), enable_empty_final_response=True)
for number in range(8):
    result, error = answers.get(timeout=60)
    assert error is None, error
    assert result.get_response().id == str(number), result.get_response()
    assert numpy.array_equal(result.as_numpy("OUTPUT0"), input0 + input1), result.get_response()
client.stop_stream()

index = client.get_model_repository_index()
assert "simple" in [model.name for model in index.models], index

statistics = client.get_inference_statistics(model_name="simple")
assert len(statistics.model_stats) == 1, statistics
assert statistics.model_stats[0].inference_count >= 2, statistics
print("PASS: simple flow")
