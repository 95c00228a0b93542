package runner

import (
	"fmt"
	"slices"

	"sluice/batcher/tensor"
	"sluice/proto/gen/inference"
)

// split cuts the function's answer to a Batch into one answer per member, whose rows are given, all sharing its data.
// An output whose first dimension is not the sum of rows gives ErrOutput naming it.
func split(response *inference.ModelInferResponse, rows []int) ([]*inference.ModelInferResponse, error) {
	if err := encodeOutputs(response); err != nil {
		return nil, err
	}
	answers := make([]*inference.ModelInferResponse, len(rows))
	for i := range answers {
		answers[i] = &inference.ModelInferResponse{
			Parameters:        response.GetParameters(),
			Outputs:           make([]*inference.ModelInferResponse_InferOutputTensor, len(response.GetOutputs())),
			RawOutputContents: make([][]byte, len(response.GetOutputs())),
		}
	}
	for k, output := range response.GetOutputs() {
		parts, err := tensor.Split(output.GetDatatype(), output.GetShape(), response.GetRawOutputContents()[k], rows)
		if err != nil {
			return nil, fmt.Errorf("%w: output %q: %w", ErrOutput, output.GetName(), err)
		}
		for i, part := range parts {
			answers[i].Outputs[k] = &inference.ModelInferResponse_InferOutputTensor{
				Name: output.GetName(), Datatype: output.GetDatatype(), Parameters: output.GetParameters(),
				Shape: append([]int64{int64(rows[i])}, output.GetShape()[1:]...),
			}
			answers[i].RawOutputContents[k] = part
		}
	}
	return answers, nil
}

// cutPadded gives an answer's outputs that were padded the length that their request's inputs had. One that is not longer stays.
func cutPadded(answer *inference.ModelInferResponse, pad []string, length int64) error {
	for k, output := range answer.GetOutputs() {
		shape := output.GetShape()
		if !slices.Contains(pad, output.GetName()) || !tensor.CanPad(shape) || shape[1] <= length {
			continue
		}
		data, err := tensor.Cut(output.GetDatatype(), shape, answer.GetRawOutputContents()[k], length)
		if err != nil {
			return fmt.Errorf("%w: output %q: %w", ErrOutput, output.GetName(), err)
		}
		output.Shape[1], answer.RawOutputContents[k] = length, data
	}
	return nil
}

// pass checks the function's answer to a request that was not joined. An output whose data do not fit its shape gives
// ErrOutput naming it.
func pass(response *inference.ModelInferResponse) ([]*inference.ModelInferResponse, error) {
	if err := encodeOutputs(response); err != nil {
		return nil, err
	}
	for k, output := range response.GetOutputs() {
		if err := tensor.Check(output.GetDatatype(), output.GetShape(), response.GetRawOutputContents()[k]); err != nil {
			return nil, fmt.Errorf("%w: output %q: %w", ErrOutput, output.GetName(), err)
		}
		output.Contents = nil
	}
	return []*inference.ModelInferResponse{response}, nil
}

// choose keeps the outputs that a request asks for, in its order; all where it asks for none. One that the function
// did not give is ErrRequest.
func choose(answer *inference.ModelInferResponse, wanted []*inference.ModelInferRequest_InferRequestedOutputTensor) error {
	if len(wanted) == 0 {
		return nil
	}
	outputs := make([]*inference.ModelInferResponse_InferOutputTensor, 0, len(wanted))
	raw := make([][]byte, 0, len(wanted))
	for i, want := range wanted {
		at := -1
		for k, output := range answer.GetOutputs() {
			if output.GetName() == want.GetName() {
				at = k
			}
		}
		if at < 0 {
			return fmt.Errorf("%w: outputs[%d]: the function has no output %q", ErrRequest, i, want.GetName())
		}
		outputs, raw = append(outputs, answer.GetOutputs()[at]), append(raw, answer.GetRawOutputContents()[at])
	}
	answer.Outputs, answer.RawOutputContents = outputs, raw
	return nil
}
