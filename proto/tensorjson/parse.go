package tensorjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"sluice/proto/gen/inference"
)

type requestObject struct {
	// ModelName is what KServe's SDK sends beside the path, which says it.
	ModelName  json.RawMessage            `json:"model_name"`
	ID         string                     `json:"id"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Inputs     []inputObject              `json:"inputs"`
	Outputs    []outputObject             `json:"outputs"`
}

type inputObject struct {
	Name       string                     `json:"name"`
	Datatype   string                     `json:"datatype"`
	Shape      []int64                    `json:"shape"`
	Parameters map[string]json.RawMessage `json:"parameters"`
	Data       json.RawMessage            `json:"data"`
}

type outputObject struct {
	Name       string                     `json:"name"`
	Parameters map[string]json.RawMessage `json:"parameters"`
}

// ParseRequest reads a request whose first headerBytes are JSON and whose tensors, binary data included, have at most
// dataBytesMax. All data become raw_input_contents, binary ones without a copy; an input in shared
// memory has none there. Unknown fields are refused. The model's name
// and version are not taken from the body. Errors wrap ErrSyntax.
func ParseRequest(body []byte, headerBytes, dataBytesMax int) (*inference.ModelInferRequest, Form, error) {
	request, form, err := parse(body, headerBytes, dataBytesMax)
	if err != nil {
		return nil, Form{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return request, form, nil
}

func parse(body []byte, headerBytes, dataBytesMax int) (*inference.ModelInferRequest, Form, error) {
	if headerBytes == WholeBody {
		headerBytes = len(body)
	}
	if headerBytes < 0 || headerBytes > len(body) {
		return nil, Form{}, fmt.Errorf("%s is %d, the body has %d bytes", HeaderLength, headerBytes, len(body))
	}
	var in requestObject
	if err := decode(body[:headerBytes], &in); err != nil {
		return nil, Form{}, err
	}
	if len(in.Inputs) > tensorsMax || len(in.Outputs) > tensorsMax {
		return nil, Form{}, fmt.Errorf("%d inputs and %d outputs, the limit is %d of each", len(in.Inputs), len(in.Outputs), tensorsMax)
	}
	form := Form{named: make(map[string]bool), shared: make(map[string]bool)}
	request := &inference.ModelInferRequest{Id: in.ID}
	var err error
	if form.binary, err = takeFlag(in.Parameters, binaryDataOutput, false); err != nil {
		return nil, Form{}, err
	}
	if request.Parameters, err = parameters(in.Parameters); err != nil {
		return nil, Form{}, err
	}
	reader := dataReader{binary: body[headerBytes:], left: dataBytesMax}
	for i, input := range in.Inputs {
		if err := addInput(request, input, &reader); err != nil {
			return nil, Form{}, fmt.Errorf("inputs[%d]: %w", i, err)
		}
	}
	if len(reader.binary) > 0 {
		return nil, Form{}, fmt.Errorf("%d bytes of the body are no input's data", len(reader.binary))
	}
	for i, output := range in.Outputs {
		if err := addOutput(request, output, &form); err != nil {
			return nil, Form{}, fmt.Errorf("outputs[%d]: %w", i, err)
		}
	}
	return request, form, nil
}

// decode demands one JSON value of known fields.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		var misfit *json.UnmarshalTypeError
		if errors.As(err, &misfit) {
			return fmt.Errorf("%s: a %s does not belong there", misfit.Field, misfit.Value)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the text ends before the object does")
		}
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

func addInput(request *inference.ModelInferRequest, input inputObject, reader *dataReader) error {
	size, binary, err := takeSize(input.Parameters)
	if err != nil {
		return err
	}
	tensor := &inference.ModelInferRequest_InferInputTensor{Name: input.Name, Datatype: input.Datatype, Shape: input.Shape}
	if tensor.Parameters, err = parameters(input.Parameters); err != nil {
		return err
	}
	if tensor.Parameters[sharedRegion] != nil {
		if binary || input.Data != nil {
			return fmt.Errorf("%s and the tensor's data are both given", sharedRegion)
		}
		request.Inputs = append(request.Inputs, tensor)
		return nil
	}
	if binary && input.Data != nil {
		return fmt.Errorf("data and %s are both given", binaryDataSize)
	}
	if !binary && input.Data == nil {
		return fmt.Errorf("neither data nor %s is given", binaryDataSize)
	}
	var raw []byte
	if binary {
		raw, err = reader.take(size)
	} else {
		raw, err = reader.parse(input.Datatype, input.Data)
	}
	if err != nil {
		return err
	}
	request.Inputs = append(request.Inputs, tensor)
	request.RawInputContents = append(request.RawInputContents, raw)
	return nil
}

func addOutput(request *inference.ModelInferRequest, output outputObject, form *Form) error {
	binary, err := takeFlag(output.Parameters, binaryData, form.binary)
	if err != nil {
		return err
	}
	form.named[output.Name] = binary
	tensor := &inference.ModelInferRequest_InferRequestedOutputTensor{Name: output.Name}
	if tensor.Parameters, err = parameters(output.Parameters); err != nil {
		return err
	}
	if tensor.Parameters[sharedRegion] != nil {
		form.shared[output.Name] = true
	}
	request.Outputs = append(request.Outputs, tensor)
	return nil
}

// takeFlag takes a boolean out of parameters.
func takeFlag(parameters map[string]json.RawMessage, name string, otherwise bool) (bool, error) {
	text, there := parameters[name]
	if !there {
		return otherwise, nil
	}
	delete(parameters, name)
	var flag bool
	if err := json.Unmarshal(text, &flag); err != nil {
		return false, fmt.Errorf("parameters[%q] is %s, must be true or false", name, short(text))
	}
	return flag, nil
}

// takeSize takes the size of binary data out of parameters.
func takeSize(parameters map[string]json.RawMessage) (size int, there bool, err error) {
	text, there := parameters[binaryDataSize]
	if !there {
		return 0, false, nil
	}
	delete(parameters, binaryDataSize)
	if size, err = strconv.Atoi(string(text)); err != nil || size < 0 {
		return 0, true, fmt.Errorf("parameters[%q] is %s, must be a number of bytes", binaryDataSize, short(text))
	}
	return size, true, nil
}

func parameters(from map[string]json.RawMessage) (map[string]*inference.InferParameter, error) {
	if len(from) == 0 {
		return nil, nil
	}
	parsed := make(map[string]*inference.InferParameter, len(from))
	for name, text := range from {
		parameter, err := parameter(text)
		if err != nil {
			return nil, fmt.Errorf("parameters[%q]: %w", name, err)
		}
		parsed[name] = parameter
	}
	return parsed, nil
}

// parameter gives a number the narrowest kind that holds it whole.
func parameter(text json.RawMessage) (*inference.InferParameter, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	switch value := value.(type) {
	case bool:
		return &inference.InferParameter{ParameterChoice: &inference.InferParameter_BoolParam{BoolParam: value}}, nil
	case string:
		return &inference.InferParameter{ParameterChoice: &inference.InferParameter_StringParam{StringParam: value}}, nil
	case json.Number:
		if signed, err := value.Int64(); err == nil {
			return &inference.InferParameter{ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: signed}}, nil
		}
		if unsigned, err := strconv.ParseUint(value.String(), 10, 64); err == nil {
			return &inference.InferParameter{ParameterChoice: &inference.InferParameter_Uint64Param{Uint64Param: unsigned}}, nil
		}
		if float, err := value.Float64(); err == nil && !math.IsInf(float, 0) {
			return &inference.InferParameter{ParameterChoice: &inference.InferParameter_DoubleParam{DoubleParam: float}}, nil
		}
	}
	return nil, fmt.Errorf("%s is neither a string, a number nor a boolean", short(text))
}

// short is a text's beginning, for an error.
func short(text []byte) string {
	const shownMax = 64
	if len(text) > shownMax {
		return string(text[:shownMax]) + "..."
	}
	return string(text)
}
