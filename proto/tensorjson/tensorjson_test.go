package tensorjson

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

const bytesMax = 1 << 20

func parseText(text string) (*inference.ModelInferRequest, Form, error) {
	return ParseRequest([]byte(text), WholeBody, bytesMax)
}

// answer is a request's tensors as the outputs of an answer.
func answer(request *inference.ModelInferRequest) *inference.ModelInferResponse {
	response := &inference.ModelInferResponse{ModelName: "m", RawOutputContents: request.GetRawInputContents()}
	for _, input := range request.GetInputs() {
		response.Outputs = append(response.Outputs, &inference.ModelInferResponse_InferOutputTensor{
			Name: input.GetName(), Datatype: input.GetDatatype(), Shape: input.GetShape(), Parameters: input.GetParameters(),
		})
	}
	return response
}

func TestValuesRoundTrip(t *testing.T) {
	for datatype, data := range map[string]string{
		"BOOL":   `[true,false]`,
		"UINT8":  `[0,255]`,
		"UINT16": `[0,65535]`,
		"UINT32": `[0,4294967295]`,
		"UINT64": `[0,18446744073709551615]`,
		"INT8":   `[-128,127]`,
		"INT16":  `[-32768,32767]`,
		"INT32":  `[-2147483648,2147483647]`,
		"INT64":  `[-9223372036854775808,9223372036854775807]`,
		"FP32":   `[0.1,-1.5e+30,"NaN","Infinity","-Infinity"]`,
		"FP64":   `[0.1,-1.5e+300,"NaN","Infinity","-Infinity"]`,
		"BYTES":  `["","naïve","a\"],[\\b"]`,
	} {
		request, form, err := parseText(`{"inputs":[{"name":"x","datatype":"` + datatype + `","shape":[2],"data":` + data + `}]}`)
		if err != nil {
			t.Errorf("%s: %v", datatype, err)
			continue
		}
		body, header, err := FormatResponse(answer(request), form)
		want := `{"model_name":"m","outputs":[{"name":"x","datatype":"` + datatype + `","shape":[2],"data":` + data + `}]}`
		if err != nil || header != WholeBody || string(body) != want {
			t.Errorf("%s: got %s, %d, %v, want %s", datatype, body, header, err, want)
		}
	}
}

func TestNestedDataIsReadRowByRow(t *testing.T) {
	request, _, err := parseText(`{"inputs":[{"name":"x","datatype":"UINT8","shape":[2,2],"data":[ [1, 2] , [3,4] ]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(request.GetRawInputContents()[0]); got != "\x01\x02\x03\x04" {
		t.Errorf("got %q", got)
	}
}

func TestParameters(t *testing.T) {
	request, form, err := parseText(`{"id": "7", "parameters": {"binary_data_output": true, "a": 1, "b": 18446744073709551615,
		"c": 0.5, "d": "text", "e": false}, "inputs": [], "outputs": [{"name": "o", "parameters": {"binary_data": false, "k": 3}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	want := &inference.ModelInferRequest{
		Id: "7",
		Parameters: map[string]*inference.InferParameter{
			"a": {ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: 1}},
			"b": {ParameterChoice: &inference.InferParameter_Uint64Param{Uint64Param: math.MaxUint64}},
			"c": {ParameterChoice: &inference.InferParameter_DoubleParam{DoubleParam: 0.5}},
			"d": {ParameterChoice: &inference.InferParameter_StringParam{StringParam: "text"}},
			"e": {ParameterChoice: &inference.InferParameter_BoolParam{}},
		},
		Outputs: []*inference.ModelInferRequest_InferRequestedOutputTensor{{
			Name:       "o",
			Parameters: map[string]*inference.InferParameter{"k": {ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: 3}}},
		}},
	}
	if !proto.Equal(request, want) {
		t.Errorf("got %v, want %v", request, want)
	}
	if form.isBinary("o") || !form.isBinary("another") {
		t.Errorf("form is %+v", form)
	}
}

func TestBinaryData(t *testing.T) {
	header := `{"inputs":[{"name":"a","datatype":"FP16","shape":[2],"parameters":{"binary_data_size":4}},` +
		`{"name":"b","datatype":"UINT8","shape":[1],"data":[9]},` +
		`{"name":"c","datatype":"UINT8","shape":[3],"parameters":{"binary_data_size":3,"kept":"x"}}],` +
		`"outputs":[{"name":"a","parameters":{"binary_data":true}},{"name":"b"},{"name":"c","parameters":{"binary_data":true}}]}`
	request, form, err := ParseRequest([]byte(header+"abcdefg"), len(header), bytesMax)
	if err != nil {
		t.Fatal(err)
	}
	if got := request.GetRawInputContents(); string(got[0]) != "abcd" || string(got[1]) != "\x09" || string(got[2]) != "efg" {
		t.Errorf("got %q", got)
	}
	body, headerBytes, err := FormatResponse(answer(request), form)
	want := `{"model_name":"m","outputs":[{"name":"a","datatype":"FP16","shape":[2],"parameters":{"binary_data_size":4}},` +
		`{"name":"b","datatype":"UINT8","shape":[1],"data":[9]},` +
		`{"name":"c","datatype":"UINT8","shape":[3],"parameters":{"binary_data_size":3,"kept":"x"}}]}`
	if err != nil || headerBytes != len(want) || string(body) != want+"abcdefg" {
		t.Errorf("got %s, %d, %v, want %s", body, headerBytes, err, want)
	}
}

func TestRefusalsNameTheField(t *testing.T) {
	input := func(rest string) string { return `{"inputs":[{"name":"x","shape":[1],` + rest + `}]}` }
	for text, want := range map[string]string{
		input(`"datatype":"UINT8","data":[256]`):                                               `inputs[0]: data[0]: 256 does not fit datatype UINT8`,
		input(`"datatype":"INT32","data":[1,"a"]`):                                             `inputs[0]: data[1]: "a" does not fit datatype INT32`,
		input(`"datatype":"FP16","data":[1]`):                                                  `1 does not fit datatype FP16`,
		input(`"datatype":"FP32","data":[null]`):                                               `null does not fit datatype FP32`,
		input(`"datatype":"FP32","data":["nan"]`):                                              `"nan" does not fit datatype FP32`,
		input(`"datatype":"FP32","data":[1e60]`):                                               `1e60 does not fit datatype FP32`,
		input(`"datatype":"FP32","data":[{"a":1}]`):                                            `{ does not fit datatype FP32`,
		input(`"datatype":"BYTES","data":[1]`):                                                 `1 does not fit datatype BYTES`,
		input(`"datatype":"INT33","data":[1]`):                                                 `datatype "INT33" is unknown`,
		input(`"datatype":"INT32","data":1`):                                                   `data is 1, must be a list`,
		input(`"datatype":"INT32","data":null`):                                                `data is null, must be a list`,
		input(`"datatype":"INT32"`):                                                            `neither data nor binary_data_size is given`,
		input(`"parameters":{"binary_data_size":0},"data":[]`):                                 `data and binary_data_size are both given`,
		input(`"parameters":{"binary_data_size":1}`):                                           `binary_data_size is 1, 0 bytes are left of the body`,
		input(`"parameters":{"binary_data_size":-1}`):                                          `parameters["binary_data_size"] is -1, must be a number of bytes`,
		input(`"datatype":"INT8","data":[1],"parameters":{"p":[]}`):                            `parameters["p"]: [] is neither a string, a number nor a boolean`,
		input(`"datatype":"INT8","data":` + strings.Repeat("[", 65) + strings.Repeat("]", 65)): `nested deeper than 64 lists`,
		input(`"datatype":"INT8","shape":[1.5],"data":[1]`):                                    `inputs.shape: a number 1.5 does not belong there`,
		`{"inputs":[],"input":1}`:                                                              `unknown field "input"`,
		`{"inputs":[]} {}`:                                                                     `more than one JSON value`,
		`{"inputs":[`:                                                                          `the text ends before the object does`,
		``:                                                                                     `the text ends before the object does`,
		`{"parameters":{"binary_data_output":"yes"}}`:                                          `parameters["binary_data_output"] is "yes", must be true or false`,
		`{"outputs":[{"name":"o","parameters":{"binary_data":1}}]}`:                            `outputs[0]: parameters["binary_data"] is 1, must be true or false`,
		`{"inputs":[` + strings.Repeat("{},", 1024) + `{}]}`:                                   `1025 inputs and 0 outputs, the limit is 1024 of each`,
	} {
		_, _, err := parseText(text)
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", text, err, want)
		}
	}
}

func TestBodyIsCheckedAgainstItsHeader(t *testing.T) {
	for header, want := range map[int]string{
		-2: "Inference-Header-Content-Length is -2, the body has 16 bytes",
		17: "Inference-Header-Content-Length is 17, the body has 16 bytes",
		13: "3 bytes of the body are no input's data",
	} {
		if _, _, err := ParseRequest([]byte(`{"inputs":[]}abc`), header, bytesMax); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v, want %q", header, err, want)
		}
	}
}

// Lists of a few characters an element can make tensors larger than the body.
func TestTensorsAreBounded(t *testing.T) {
	body := []byte(`{"inputs":[{"name":"x","datatype":"FP64","shape":[4],"data":[0,0,0,0]}]}`)
	if _, _, err := ParseRequest(body, WholeBody, 32); err != nil {
		t.Error(err)
	}
	if _, _, err := ParseRequest(body, WholeBody, 31); err == nil || !strings.Contains(err.Error(), "more bytes than allowed") {
		t.Errorf("got %v", err)
	}
}

func TestAnswersWithoutAForm(t *testing.T) {
	for _, c := range []struct {
		datatype, raw string
		want          error
	}{
		{"FP16", "ab", ErrNoForm},
		{"BYTES", "\x01\x00\x00\x00\xff", ErrNoForm},
		{"INT32", "abc", nil},
		{"BYTES", "\x05\x00\x00\x00ab", nil},
		{"BYTES", "\x05", nil},
	} {
		response := &inference.ModelInferResponse{
			Outputs:           []*inference.ModelInferResponse_InferOutputTensor{{Name: "x", Datatype: c.datatype, Shape: []int64{1}}},
			RawOutputContents: [][]byte{[]byte(c.raw)},
		}
		_, _, err := FormatResponse(response, Form{})
		if err == nil || errors.Is(err, ErrNoForm) != (c.want != nil) {
			t.Errorf("%s %q: got %v", c.datatype, c.raw, err)
		}
	}
}

// FuzzParseRequest: whatever is sent, what is read keeps to the bound, and what JSON can carry reads the same again.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[[1],[2]]}]}`), WholeBody)
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":["a\"\u00e9"]}],"id":"1"}`), WholeBody)
	f.Add([]byte(`{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}abcd`), 85)
	f.Fuzz(func(t *testing.T, body []byte, header int) {
		const bytesMax = 256
		request, form, err := ParseRequest(body, header, bytesMax)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		size := 0
		for _, raw := range request.GetRawInputContents() {
			size += len(raw)
		}
		if size > bytesMax || len(request.GetRawInputContents()) != len(request.GetInputs()) {
			t.Fatalf("%d bytes in %d tensors of %d inputs", size, len(request.GetRawInputContents()), len(request.GetInputs()))
		}
		text, headerBytes, err := FormatResponse(answer(request), form)
		if err != nil {
			return // misshapen binary data
		}
		if headerBytes == WholeBody {
			headerBytes = len(text)
		}
		if !json.Valid(text[:headerBytes]) {
			t.Fatalf("wrote %s", text)
		}
	})
}
