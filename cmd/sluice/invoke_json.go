package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"sluice/proto/gen/inference"
)

// jsonRequest is an inference request in the JSON of the Open Inference Protocol v2 (REST, "Inference Request JSON Object").
type jsonRequest struct {
	ID      string       `json:"id,omitempty"`
	Inputs  []jsonTensor `json:"inputs"`
	Outputs []struct {
		Name string `json:"name"`
	} `json:"outputs,omitempty"`
}

type jsonResponse struct {
	ModelName    string       `json:"model_name"`
	ModelVersion string       `json:"model_version,omitempty"`
	ID           string       `json:"id,omitempty"`
	Outputs      []jsonTensor `json:"outputs"`
}

type jsonTensor struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
	Data     any     `json:"data"` // nested or flat, row by row
}

// parseInferRequest reads a JSON request; tensors become raw bytes. Unknown fields are refused.
func parseInferRequest(text []byte) (*inference.ModelInferRequest, error) {
	var in jsonRequest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	out := &inference.ModelInferRequest{Id: in.ID}
	for _, tensor := range in.Inputs {
		raw, err := encodeData(nil, tensor.Datatype, tensor.Data)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", tensor.Name, err)
		}
		out.Inputs = append(out.Inputs, &inference.ModelInferRequest_InferInputTensor{
			Name: tensor.Name, Datatype: tensor.Datatype, Shape: tensor.Shape,
		})
		out.RawInputContents = append(out.RawInputContents, raw)
	}
	for _, output := range in.Outputs {
		out.Outputs = append(out.Outputs, &inference.ModelInferRequest_InferRequestedOutputTensor{Name: output.Name})
	}
	return out, nil
}

// encodeData appends the values, little-endian, row by row.
func encodeData(raw []byte, datatype string, data any) ([]byte, error) {
	if list, ok := data.([]any); ok {
		var err error
		for _, element := range list {
			if raw, err = encodeData(raw, datatype, element); err != nil {
				return nil, err
			}
		}
		return raw, nil
	}
	switch value := data.(type) {
	case bool:
		if datatype == "BOOL" {
			return append(raw, map[bool]byte{true: 1}[value]), nil
		}
	case string:
		if datatype == "BYTES" {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(len(value)))
			return append(raw, value...), nil
		}
	case json.Number:
		return encodeNumber(raw, datatype, value.String())
	}
	return nil, fmt.Errorf("%v does not fit datatype %q", data, datatype)
}

// sizes of one element in bytes, of the datatypes whose values JSON can carry.
var sizes = map[string]int{
	"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "FP32": 4, "FP64": 8,
}

func encodeNumber(raw []byte, datatype, text string) ([]byte, error) {
	var bits uint64
	var err error
	size := sizes[datatype]
	switch datatype {
	case "UINT8", "UINT16", "UINT32", "UINT64":
		bits, err = strconv.ParseUint(text, 10, size*8)
	case "INT8", "INT16", "INT32", "INT64":
		var signed int64
		signed, err = strconv.ParseInt(text, 10, size*8)
		bits = uint64(signed)
	case "FP32":
		var float float64
		float, err = strconv.ParseFloat(text, 32)
		bits = uint64(math.Float32bits(float32(float)))
	case "FP64":
		var float float64
		float, err = strconv.ParseFloat(text, 64)
		bits = math.Float64bits(float)
	default:
		return nil, fmt.Errorf("%s does not fit datatype %q", text, datatype)
	}
	if err != nil {
		return nil, fmt.Errorf("%s does not fit datatype %q", text, datatype)
	}
	var eight [8]byte
	binary.LittleEndian.PutUint64(eight[:], bits)
	return append(raw, eight[:size]...), nil
}

// formatInferResponse decodes the raw outputs into flat lists.
func formatInferResponse(in *inference.ModelInferResponse) (*jsonResponse, error) {
	if len(in.GetRawOutputContents()) != len(in.GetOutputs()) {
		return nil, fmt.Errorf("%d outputs but %d raw contents", len(in.GetOutputs()), len(in.GetRawOutputContents()))
	}
	out := &jsonResponse{ModelName: in.GetModelName(), ModelVersion: in.GetModelVersion(), ID: in.GetId()}
	for i, tensor := range in.GetOutputs() {
		data, err := decodeData(tensor.GetDatatype(), in.GetRawOutputContents()[i])
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", tensor.GetName(), err)
		}
		out.Outputs = append(out.Outputs, jsonTensor{
			Name: tensor.GetName(), Datatype: tensor.GetDatatype(), Shape: tensor.GetShape(), Data: data,
		})
	}
	return out, nil
}

func decodeData(datatype string, raw []byte) ([]any, error) {
	values := []any{}
	for len(raw) > 0 {
		size, prefix := sizes[datatype], 0
		if datatype == "BYTES" && len(raw) >= 4 {
			size, prefix = int(binary.LittleEndian.Uint32(raw)), 4
		} else if size == 0 {
			return nil, fmt.Errorf("datatype %q has no JSON form", datatype)
		}
		if size > len(raw)-prefix {
			return nil, fmt.Errorf("%d bytes left, an element has %d", len(raw)-prefix, size)
		}
		values = append(values, decodeElement(datatype, raw[prefix:prefix+size]))
		raw = raw[prefix+size:]
	}
	return values, nil
}

func decodeElement(datatype string, raw []byte) any {
	var eight [8]byte
	copy(eight[:], raw)
	bits := binary.LittleEndian.Uint64(eight[:])
	switch datatype {
	case "BOOL":
		return bits != 0
	case "INT8":
		return int8(bits)
	case "INT16":
		return int16(bits)
	case "INT32":
		return int32(bits)
	case "INT64":
		return int64(bits)
	case "FP32":
		return jsonFloat(float64(math.Float32frombits(uint32(bits))), 32)
	case "FP64":
		return jsonFloat(math.Float64frombits(bits), 64)
	case "BYTES":
		return string(raw)
	}
	return bits
}

// jsonFloat gives a number as short as its width allows; what JSON has no number for becomes a string.
func jsonFloat(value float64, bits int) any {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return fmt.Sprint(value)
	}
	return json.Number(strconv.FormatFloat(value, 'g', -1, bits))
}
