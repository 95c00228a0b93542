package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice/batcher/tensor"
	"sluice/proto/gen/inference"
)

// checkFields checks a ModelInfer request but for its model's name and the data of its tensors. A violation gives ErrInvalid
// and names the field and the limit.
func checkFields(request *inference.ModelInferRequest) error {
	for _, check := range []func(*inference.ModelInferRequest) error{checkRequest, checkInputs, checkOutputs} {
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
	if err := checkParameters(request.GetParameters(), emptyFinalParameter); err != nil {
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
	carried := 0
	for _, input := range inputs {
		if !inShared(input.GetParameters()) {
			carried++
		}
	}
	if len(raw) != 0 && len(raw) != carried {
		return fmt.Errorf("raw_input_contents has %d entries for %d inputs", len(raw), carried)
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
		if classes := output.GetParameters()["classification"]; classes.GetInt64Param() != 0 || classes.GetUint64Param() != 0 {
			return fmt.Errorf("outputs[%d]: parameters[%q]: classes are not served (extension_classification.md)", i, "classification")
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
	return checkParameters(tensor.GetParameters(), sharedRegion, sharedOffset, sharedByteSize)
}

// checkParameters refuses names that the protocol's extensions reserve (extension_shared_memory.md, extension_parameters.md)
// but those that mean something where they are.
func checkParameters(parameters map[string]*inference.InferParameter, meant ...string) error {
	if len(parameters) > MaxParameters {
		return fmt.Errorf("parameters has %d entries, the limit is %d", len(parameters), MaxParameters)
	}
	for name, value := range parameters {
		if err := checkName(name); err != nil {
			return fmt.Errorf("parameters: %w", err)
		}
		switch {
		case len(value.GetStringParam()) > MaxParameterBytes:
			return fmt.Errorf("parameters[%q] has %d bytes, the limit is %d", name, len(value.GetStringParam()), MaxParameterBytes)
		case slices.Contains(meant, name):
		case strings.HasPrefix(name, sharedPrefix), strings.HasPrefix(name, "triton_"), name == "headers":
			return fmt.Errorf("parameters[%q] is a reserved name", name)
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

// makeRaw checks each tensor's data and leaves them in raw_input_contents alone, one entry per input. shared holds the data of
// inputs in shared memory, which have no entry yet; nil: there are none. A violation gives ErrInvalid.
func makeRaw(request *inference.ModelInferRequest, shared [][]byte) error {
	given := request.GetRawInputContents()
	typed := len(given) == 0
	raw := given
	if typed || shared != nil {
		raw = make([][]byte, len(request.GetInputs()))
	}
	for i, input := range request.GetInputs() {
		var err error
		switch {
		case shared != nil && shared[i] != nil:
			raw[i] = shared[i]
			err = tensor.Check(input.GetDatatype(), input.GetShape(), raw[i])
			if input.GetContents() != nil {
				err = errors.New("contents and shared memory are both given")
			}
		case typed:
			raw[i], err = tensor.Encode(input.GetDatatype(), input.GetShape(), input.GetContents())
			input.Contents = nil
		case input.GetContents() != nil:
			return fmt.Errorf("%w: inputs[%d].contents and raw_input_contents are both given", ErrInvalid, i)
		default:
			raw[i], given = given[0], given[1:]
			err = tensor.Check(input.GetDatatype(), input.GetShape(), raw[i])
		}
		if err != nil {
			return fmt.Errorf("%w: inputs[%d] %q: %w", ErrInvalid, i, input.GetName(), err)
		}
	}
	request.RawInputContents = raw
	return nil
}
