package runner

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"google.golang.org/protobuf/proto"

	"sluice/batcher/tensor"
	"sluice/proto/gen/inference"
)

// Parameters that steer queueing and are not the function's (Triton protocol/extension_schedule_policy.md,
// extension_parameters.md).
const (
	timeoutParameter  = "timeout"
	priorityParameter = "priority"
)

// classify returns the rows of a request along the first dimension, and its shape class: requests of one class have
// the same inputs in the same order but for the number of rows, and the same parameters. Where a tensor is padded, its second
// dimension lies between the same powers of two, so that padding no more than doubles the data. An input without rows, or
// inputs that disagree on them, give ErrRequest.
func classify(request *inference.ModelInferRequest, pad []string) (rows int, class string, err error) {
	// Counts and lengths go before what they count, so that a client cannot make two kinds of requests look alike.
	key := binary.AppendUvarint(nil, uint64(len(request.GetInputs())))
	for i, input := range request.GetInputs() {
		shape := input.GetShape()
		if len(shape) == 0 || shape[0] < 1 {
			return 0, "", fmt.Errorf("%w: inputs[%d] %q has shape %v, but the function takes batches, and so at least one row",
				ErrRequest, i, input.GetName(), shape)
		}
		if first := request.GetInputs()[0]; shape[0] != first.GetShape()[0] {
			return 0, "", fmt.Errorf("%w: inputs[%d] %q has %d rows, but %q has %d",
				ErrRequest, i, input.GetName(), shape[0], first.GetName(), first.GetShape()[0])
		}
		rows = int(shape[0])
		key = appendText(appendText(key, input.GetName()), input.GetDatatype())
		key = binary.AppendUvarint(key, uint64(len(shape)))
		for i, dimension := range shape[1:] {
			if i == 0 && padded(pad, input) {
				dimension = int64(bits.Len64(uint64(max(dimension, 1) - 1)))
			}
			key = binary.AppendUvarint(key, uint64(dimension))
		}
		key = appendParameters(key, input.GetParameters())
	}
	key = appendParameters(key, functionParameters(request.GetParameters()))
	if parameterisedOutputs(request) {
		for _, output := range request.GetOutputs() {
			key = appendParameters(appendText(key, output.GetName()), output.GetParameters())
		}
	}
	return rows, string(key), nil
}

func appendText(key []byte, text string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(text))), text...)
}

// appendParameters writes parameters in the order of their names.
func appendParameters(key []byte, parameters map[string]*inference.InferParameter) []byte {
	names := slices.Sorted(maps.Keys(parameters))
	key = binary.AppendUvarint(key, uint64(len(names)))
	for _, name := range names {
		// A parameter has no required fields or maps: marshalling cannot fail.
		value, _ := proto.Marshal(parameters[name])
		key = appendText(appendText(key, name), string(value))
	}
	return key
}

func parameterisedOutputs(request *inference.ModelInferRequest) bool {
	for _, output := range request.GetOutputs() {
		if len(output.GetParameters()) > 0 {
			return true
		}
	}
	return false
}

// padded says whether an input's second dimension may differ within a batch.
func padded(pad []string, input *inference.ModelInferRequest_InferInputTensor) bool {
	return slices.Contains(pad, input.GetName()) && tensor.CanPad(input.GetShape())
}

// paddedLength is the second dimension of a request's first input that is padded; 0: none is.
func paddedLength(request *inference.ModelInferRequest, pad []string) int64 {
	for _, input := range request.GetInputs() {
		if padded(pad, input) {
			return input.GetShape()[1]
		}
	}
	return 0
}

// join makes the request that goes to the function from requests of one shape class with raw contents. One request
// alone shares its data with the result.
func join(function string, members []*inference.ModelInferRequest, pad []string) (*inference.ModelInferRequest, error) {
	first := members[0]
	joined := &inference.ModelInferRequest{
		ModelName:        function,
		Parameters:       functionParameters(first.GetParameters()),
		Inputs:           first.GetInputs(),
		RawInputContents: first.GetRawInputContents(),
	}
	if len(members) == 1 {
		joined.Id, joined.Outputs = first.GetId(), first.GetOutputs()
		return joined, nil
	}
	// Every output is asked for, and filtered per request: a name that does not exist must fail its own request alone.
	if parameterisedOutputs(first) {
		joined.Outputs = first.GetOutputs()
	}
	var rows int64
	for _, member := range members {
		rows += member.GetInputs()[0].GetShape()[0]
	}
	joined.Inputs = make([]*inference.ModelInferRequest_InferInputTensor, len(first.GetInputs()))
	joined.RawInputContents = make([][]byte, len(first.GetInputs()))
	for i, input := range first.GetInputs() {
		joined.Inputs[i] = &inference.ModelInferRequest_InferInputTensor{
			Name: input.GetName(), Datatype: input.GetDatatype(), Parameters: input.GetParameters(),
			Shape: append([]int64{rows}, input.GetShape()[1:]...),
		}
		var err error
		if joined.RawInputContents[i], err = joinData(members, i, joined.Inputs[i], padded(pad, input)); err != nil {
			return nil, fmt.Errorf("%w: inputs[%d] %q: %w", ErrRequest, i, input.GetName(), err)
		}
	}
	return joined, nil
}

// joinData puts the data of the members' i-th inputs one behind the other. Where they are padded, it sets the result's length.
func joinData(
	members []*inference.ModelInferRequest, i int, joined *inference.ModelInferRequest_InferInputTensor, padded bool,
) (raw []byte, err error) {
	size := 0
	for _, member := range members {
		size += len(member.GetRawInputContents()[i])
		if padded {
			joined.Shape[1] = max(joined.Shape[1], member.GetInputs()[i].GetShape()[1])
		}
	}
	raw = make([]byte, 0, size)
	for _, member := range members {
		data, shape := member.GetRawInputContents()[i], member.GetInputs()[i].GetShape()
		if !padded || shape[1] == joined.Shape[1] {
			raw = append(raw, data...)
		} else if raw, err = tensor.Pad(raw, joined.GetDatatype(), shape, data, joined.Shape[1]); err != nil {
			return nil, err
		}
	}
	return raw, nil
}

// functionParameters leaves out the parameters that are not the function's.
func functionParameters(parameters map[string]*inference.InferParameter) map[string]*inference.InferParameter {
	if parameters[timeoutParameter] == nil && parameters[priorityParameter] == nil {
		return parameters
	}
	rest := maps.Clone(parameters)
	delete(rest, timeoutParameter)
	delete(rest, priorityParameter)
	return rest
}

// encodeOutputs turns typed contents of an answer into raw ones. A number of raw contents other than that of the
// outputs, or contents that do not fit, give ErrOutput naming the output.
func encodeOutputs(response *inference.ModelInferResponse) error {
	outputs := response.GetOutputs()
	if len(response.GetRawOutputContents()) == 0 && len(outputs) > 0 {
		raw := make([][]byte, len(outputs))
		for i, output := range outputs {
			var err error
			if raw[i], err = tensor.Encode(output.GetDatatype(), output.GetShape(), output.GetContents()); err != nil {
				return fmt.Errorf("%w: output %q: %w", ErrOutput, output.GetName(), err)
			}
		}
		response.RawOutputContents = raw
	}
	if len(response.GetRawOutputContents()) != len(outputs) {
		return fmt.Errorf("%w: %d outputs, but %d raw_output_contents", ErrOutput, len(outputs), len(response.GetRawOutputContents()))
	}
	return nil
}
