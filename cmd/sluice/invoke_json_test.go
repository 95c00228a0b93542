package main

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/proto/gen/inference"
)

// Every datatype goes through raw bytes and back to the same JSON.
func TestTensorsRoundTrip(t *testing.T) {
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
		"FP32":   `[0.1,-1.5e+30]`,
		"FP64":   `[0.1,-1.5e+300]`,
		"BYTES":  `["","naïve"]`,
	} {
		request, err := parseInferRequest([]byte(`{"inputs":[{"name":"x","datatype":"` + datatype + `","shape":[2],"data":` + data + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", datatype, err)
			continue
		}
		response, err := formatInferResponse(&inference.ModelInferResponse{
			Outputs:           []*inference.ModelInferResponse_InferOutputTensor{{Name: "x", Datatype: datatype, Shape: []int64{2}}},
			RawOutputContents: request.GetRawInputContents(),
		})
		if err != nil {
			t.Errorf("%s: %v", datatype, err)
			continue
		}
		if got, err := json.Marshal(response.Outputs[0].Data); err != nil || string(got) != data {
			t.Errorf("%s: got %s, %v, want %s", datatype, got, err, data)
		}
	}
}

func TestNestedDataIsFlattenedRowByRow(t *testing.T) {
	request, err := parseInferRequest([]byte(`{"inputs":[{"name":"x","datatype":"UINT8","shape":[2,2],"data":[[1,2],[3,4]]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(request.GetRawInputContents()[0]); got != "\x01\x02\x03\x04" {
		t.Errorf("got %q", got)
	}
}

func TestBadRequestsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`{"inputs":[{"name":"x","datatype":"UINT8","shape":[1],"data":[256]}]}`: `input x: 256 does not fit datatype "UINT8"`,
		`{"inputs":[{"name":"x","datatype":"INT32","shape":[1],"data":["a"]}]}`: `input x: a does not fit datatype "INT32"`,
		`{"inputs":[{"name":"x","datatype":"FP16","shape":[1],"data":[1]}]}`:    `input x: 1 does not fit datatype "FP16"`,
		`{"inputs":[],"input":1}`: `unknown field "input"`,
		`{"inputs":[]} {}`:        "more than one JSON value",
		`{"inputs":[{"name":"x","datatype":"UINT8","shape":[1],"data":[null]}]}`: "input x: <nil> does not fit",
	} {
		if _, err := parseInferRequest([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestShortAnswersAreRefused(t *testing.T) {
	for datatype, raw := range map[string]string{"INT32": "abc", "BYTES": "\x05\x00\x00\x00ab", "BF16": "ab"} {
		if data, err := decodeData(datatype, []byte(raw)); err == nil {
			t.Errorf("%s %q: got %v, want an error", datatype, raw, data)
		}
	}
}
