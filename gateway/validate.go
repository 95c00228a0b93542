package gateway

import (
	"fmt"
	"strings"

	"sluice/batcher/tensor"
	"sluice/proto/gen/inference"
)

// validate checks a ModelInfer request but for its model's name, and leaves its tensors in raw_input_contents alone.
// A violation gives ErrInvalid and names the field and the limit.
func validate(request *inference.ModelInferRequest) error {
	for _, check := range []func(*inference.ModelInferRequest) error{checkRequest, checkInputs, checkOutputs, makeRaw} {
		if err := check(request); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return nil
}

func checkRequest(request *inference.ModelInferRequest) error {
	if err := checkID(request.GetId()); err != nil {
		return err
	}
	if err := checkParameters(request.GetParameters()); err != nil {
		return err
	}
	return checkSchedule(request.GetParameters())
}

// checkID demands what can be metadata too: printable ASCII.
func checkID(id string) error {
	if len(id) > MaxIDBytes {
		return fmt.Errorf("id has %d bytes, the limit is %d", len(id), MaxIDBytes)
	}
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return fmt.Errorf("id holds byte %#02x, but printable ASCII alone is allowed", id[i])
		}
	}
	return nil
}

func checkName(name string) error {
	if name == "" || len(name) > MaxNameBytes {
		return fmt.Errorf("name has %d bytes, 1 to %d are allowed", len(name), MaxNameBytes)
	}
	return nil
}

func checkInputs(request *inference.ModelInferRequest) error {
	inputs, raw := request.GetInputs(), request.GetRawInputContents()
	if len(inputs) == 0 || len(inputs) > MaxTensors {
		return fmt.Errorf("inputs has %d tensors, 1 to %d are allowed", len(inputs), MaxTensors)
	}
	if len(raw) != 0 && len(raw) != len(inputs) {
		return fmt.Errorf("raw_input_contents has %d entries for %d inputs", len(raw), len(inputs))
	}
	for i, input := range inputs {
		if err := checkTensor(input, inputs[:i]); err != nil {
			return fmt.Errorf("inputs[%d]: %w", i, err)
		}
		if len(input.GetDatatype()) > MaxNameBytes {
			return fmt.Errorf("inputs[%d]: datatype has %d bytes, the limit is %d", i, len(input.GetDatatype()), MaxNameBytes)
		}
	}
	return nil
}

func checkOutputs(request *inference.ModelInferRequest) error {
	outputs := request.GetOutputs()
	if len(outputs) > MaxTensors {
		return fmt.Errorf("outputs has %d tensors, the limit is %d", len(outputs), MaxTensors)
	}
	for i, output := range outputs {
		if err := checkTensor(output, outputs[:i]); err != nil {
			return fmt.Errorf("outputs[%d]: %w", i, err)
		}
	}
	return nil
}

// named is what inputs and requested outputs have in common.
type named interface {
	GetName() string
	GetParameters() map[string]*inference.InferParameter
}

func checkTensor[T named](tensor T, before []T) error {
	if err := checkName(tensor.GetName()); err != nil {
		return err
	}
	for _, other := range before {
		if other.GetName() == tensor.GetName() {
			return fmt.Errorf("name %q is there twice", tensor.GetName())
		}
	}
	return checkParameters(tensor.GetParameters())
}

// checkParameters refuses names that the protocol's extensions reserve for what is not served here: shared memory
// (extension_shared_memory.md) and Triton's own (extension_parameters.md).
func checkParameters(parameters map[string]*inference.InferParameter) error {
	if len(parameters) > MaxParameters {
		return fmt.Errorf("parameters has %d entries, the limit is %d", len(parameters), MaxParameters)
	}
	for name, value := range parameters {
		if err := checkName(name); err != nil {
			return fmt.Errorf("parameters: %w", err)
		}
		switch {
		case strings.HasPrefix(name, "shared_memory_"):
			return fmt.Errorf("parameters[%q]: shared memory is not served", name)
		case strings.HasPrefix(name, "triton_"), name == "headers":
			return fmt.Errorf("parameters[%q] is a reserved name", name)
		case len(value.GetStringParam()) > MaxParameterBytes:
			return fmt.Errorf("parameters[%q] has %d bytes, the limit is %d", name, len(value.GetStringParam()), MaxParameterBytes)
		}
	}
	return nil
}

// checkSchedule checks the parameters that steer queueing (extension_schedule_policy.md, extension_sequence.md).
func checkSchedule(parameters map[string]*inference.InferParameter) error {
	for _, name := range []string{"sequence_id", "sequence_start", "sequence_end"} {
		value := parameters[name]
		if value.GetBoolParam() || value.GetInt64Param() != 0 || value.GetUint64Param() != 0 || value.GetStringParam() != "" {
			return fmt.Errorf("parameters[%q]: sequences are not served", name)
		}
	}
	for _, name := range []string{"timeout", "priority"} {
		value, there := parameters[name]
		if !there {
			continue
		}
		number := value.GetInt64Param()
		switch choice := value.GetParameterChoice().(type) {
		case *inference.InferParameter_Int64Param:
		case *inference.InferParameter_Uint64Param:
			number = int64(min(choice.Uint64Param, 1<<62))
		default:
			return fmt.Errorf("parameters[%q] is not an int64_param or uint64_param", name)
		}
		if number < 0 || name == "priority" && number > MaxPriority {
			return fmt.Errorf("parameters[%q] is %d, out of range (priority: 0 to %d; timeout: microseconds)", name, number, MaxPriority)
		}
	}
	return nil
}

// makeRaw checks each tensor's data and turns typed contents into raw ones.
func makeRaw(request *inference.ModelInferRequest) error {
	raw := request.GetRawInputContents()
	typed := len(raw) == 0
	if typed {
		raw = make([][]byte, len(request.GetInputs()))
	}
	for i, input := range request.GetInputs() {
		var err error
		switch {
		case typed:
			raw[i], err = tensor.Encode(input.GetDatatype(), input.GetShape(), input.GetContents())
			input.Contents = nil
		case input.GetContents() != nil:
			return fmt.Errorf("inputs[%d].contents and raw_input_contents are both given", i)
		default:
			err = tensor.Check(input.GetDatatype(), input.GetShape(), raw[i])
		}
		if err != nil {
			return fmt.Errorf("inputs[%d] %q: %w", i, input.GetName(), err)
		}
	}
	request.RawInputContents = raw
	return nil
}
