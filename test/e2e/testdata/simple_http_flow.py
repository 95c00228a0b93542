"""simple_flow.py over HTTP, with JSON and binary tensors, also compressed. usage: simple_http_flow.py ADDRESS"""
import sys

import numpy
import tritonclient.http as httpclient

client = httpclient.InferenceServerClient(url=sys.argv[1])
assert client.is_server_live()
assert client.is_server_ready()
assert client.is_model_ready("simple")
assert not client.is_model_ready("absent")

metadata = client.get_model_metadata("simple")
assert metadata["name"] == "simple", metadata
assert [i["name"] for i in metadata["inputs"]] == ["INPUT0", "INPUT1"], metadata
assert client.get_server_metadata()["name"] == "sluice"
assert client.get_model_config("simple")["max_batch_size"] == 8

input0 = numpy.arange(16, dtype=numpy.int32).reshape(1, 16)
input1 = numpy.ones((1, 16), dtype=numpy.int32)
for binary in (True, False):
    inputs = [httpclient.InferInput("INPUT0", [1, 16], "INT32"), httpclient.InferInput("INPUT1", [1, 16], "INT32")]
    inputs[0].set_data_from_numpy(input0, binary_data=binary)
    inputs[1].set_data_from_numpy(input1, binary_data=binary)
    outputs = [
        httpclient.InferRequestedOutput("OUTPUT0", binary_data=binary),
        httpclient.InferRequestedOutput("OUTPUT1", binary_data=binary),
    ]
    for some in (outputs, None):
        for compression in (None, "gzip", "deflate"):
            results = client.infer(
                model_name="simple", inputs=inputs, outputs=some,
                request_compression_algorithm=compression, response_compression_algorithm=compression)
            assert numpy.array_equal(results.as_numpy("OUTPUT0"), input0 + input1), results.get_response()
            assert numpy.array_equal(results.as_numpy("OUTPUT1"), input0 - input1), results.get_response()

assert "simple" in [model["name"] for model in client.get_model_repository_index()]

statistics = client.get_inference_statistics(model_name="simple")
assert len(statistics["model_stats"]) == 1, statistics
assert statistics["model_stats"][0]["inference_count"] >= 12, statistics
print("PASS: simple flow over HTTP")
