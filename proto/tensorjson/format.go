package tensorjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"sluice/proto/gen/inference"
)

type responseObject struct {
	ModelName    string                 `json:"model_name"`
	ModelVersion string                 `json:"model_version,omitempty"`
	ID           string                 `json:"id,omitempty"`
	Parameters   map[string]any         `json:"parameters,omitempty"`
	Outputs      []responseOutputObject `json:"outputs"`
}

type responseOutputObject struct {
	Name       string          `json:"name"`
	Datatype   string          `json:"datatype"`
	Shape      []int64         `json:"shape"`
	Parameters map[string]any  `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// FormatResponse writes an answer in the form that its request asked for: JSON, then the binary data of outputs, if any.
// headerBytes is the length of the JSON, or WholeBody. The answer's tensors must be in raw_output_contents. An output that
// JSON cannot carry gives ErrNoForm.
func FormatResponse(response *inference.ModelInferResponse, form Form) (body []byte, headerBytes int, err error) {
	raw := response.GetRawOutputContents()
	if len(raw) != len(response.GetOutputs()) {
		return nil, 0, fmt.Errorf("%d outputs but %d raw contents", len(response.GetOutputs()), len(raw))
	}
	object := responseObject{
		ModelName: response.GetModelName(), ModelVersion: response.GetModelVersion(), ID: response.GetId(),
		Parameters: parameterValues(response.GetParameters()), Outputs: []responseOutputObject{},
	}
	var tail [][]byte
	for i, output := range response.GetOutputs() {
		one := responseOutputObject{
			Name: output.GetName(), Datatype: output.GetDatatype(), Shape: output.GetShape(),
			Parameters: parameterValues(output.GetParameters()),
		}
		switch {
		case form.shared[one.Name]:
			// As in Triton's answers: its client in C++ takes an output with parameters for one with binary data.
			maps.DeleteFunc(one.Parameters, func(name string, _ any) bool { return strings.HasPrefix(name, sharedPrefix) })
		case form.isBinary(one.Name):
			if one.Parameters == nil {
				one.Parameters = make(map[string]any)
			}
			one.Parameters[binaryDataSize] = len(raw[i])
			tail = append(tail, raw[i])
		default:
			if one.Data, err = formatData(one.Datatype, raw[i]); err != nil {
				return nil, 0, fmt.Errorf("output %q: %w", one.Name, err)
			}
		}
		object.Outputs = append(object.Outputs, one)
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object); err != nil {
		return nil, 0, fmt.Errorf("write the answer: %w", err)
	}
	buffer.Truncate(buffer.Len() - 1) // the encoder's line end
	if tail == nil {
		return buffer.Bytes(), WholeBody, nil
	}
	headerBytes = buffer.Len()
	for _, data := range tail {
		buffer.Write(data)
	}
	return buffer.Bytes(), headerBytes, nil
}

func parameterValues(from map[string]*inference.InferParameter) map[string]any {
	if len(from) == 0 {
		return nil
	}
	values := make(map[string]any, len(from))
	for name, parameter := range from {
		switch choice := parameter.GetParameterChoice().(type) {
		case *inference.InferParameter_BoolParam:
			values[name] = choice.BoolParam
		case *inference.InferParameter_Int64Param:
			values[name] = choice.Int64Param
		case *inference.InferParameter_Uint64Param:
			values[name] = choice.Uint64Param
		case *inference.InferParameter_DoubleParam:
			values[name] = json.RawMessage(appendFloat(nil, choice.DoubleParam, 64))
		case *inference.InferParameter_StringParam:
			values[name] = choice.StringParam
		}
	}
	return values
}

// formatData writes a flat list.
func formatData(datatype string, raw []byte) ([]byte, error) {
	size, known := elementBytes[datatype]
	switch {
	case datatype == "BYTES":
		return formatBytes(raw)
	case !known, datatype == "FP16", datatype == "BF16":
		return nil, fmt.Errorf("%w: datatype %q; ask for it as binary data", ErrNoForm, datatype)
	case len(raw)%size != 0:
		return nil, fmt.Errorf("%d bytes of data, an element of %s has %d", len(raw), datatype, size)
	}
	const digitsGuess = 4
	text := make([]byte, 0, 2+len(raw)/size*digitsGuess)
	text = append(text, '[')
	for at := 0; at < len(raw); at += size {
		if at > 0 {
			text = append(text, ',')
		}
		var eight [8]byte
		copy(eight[:], raw[at:at+size])
		text = appendValue(text, datatype, binary.LittleEndian.Uint64(eight[:]))
	}
	return append(text, ']'), nil
}

func appendValue(text []byte, datatype string, bits uint64) []byte {
	switch datatype {
	case "BOOL":
		return strconv.AppendBool(text, bits != 0)
	case "INT8":
		return strconv.AppendInt(text, int64(int8(bits)), 10)
	case "INT16":
		return strconv.AppendInt(text, int64(int16(bits)), 10)
	case "INT32":
		return strconv.AppendInt(text, int64(int32(bits)), 10)
	case "INT64":
		return strconv.AppendInt(text, int64(bits), 10)
	case "FP32":
		return appendFloat(text, float64(math.Float32frombits(uint32(bits))), 32)
	case "FP64":
		return appendFloat(text, math.Float64frombits(bits), 64)
	}
	return strconv.AppendUint(text, bits, 10)
}

// appendFloat gives a number as short as its width allows; what JSON has no number for becomes a string.
func appendFloat(text []byte, value float64, size int) []byte {
	switch {
	case math.IsNaN(value):
		return append(text, `"NaN"`...)
	case math.IsInf(value, 1):
		return append(text, `"Infinity"`...)
	case math.IsInf(value, -1):
		return append(text, `"-Infinity"`...)
	}
	return strconv.AppendFloat(text, value, 'g', -1, size)
}

func formatBytes(raw []byte) ([]byte, error) {
	text := []byte{'['}
	for index := 0; len(raw) > 0; index++ {
		if len(raw) < lengthBytes {
			return nil, fmt.Errorf("data[%d]: %d bytes are left, a length has %d", index, len(raw), lengthBytes)
		}
		size := binary.LittleEndian.Uint32(raw)
		raw = raw[lengthBytes:]
		if uint64(size) > uint64(len(raw)) {
			return nil, fmt.Errorf("data[%d]: %d bytes are left, the element has %d", index, len(raw), size)
		}
		if !utf8.Valid(raw[:size]) {
			return nil, fmt.Errorf("%w: data[%d] is not UTF-8; ask for it as binary data", ErrNoForm, index)
		}
		if index > 0 {
			text = append(text, ',')
		}
		quoted, err := json.Marshal(string(raw[:size]))
		if err != nil {
			return nil, fmt.Errorf("data[%d]: %w", index, err)
		}
		text = append(text, quoted...)
		raw = raw[size:]
	}
	return append(text, ']'), nil
}
