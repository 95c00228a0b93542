package function

import (
	"fmt"

	"sluice/proto/gen/inference"
)

// checkOutputs says whether what a model returned is what its signature promises for
// inputs of that batch size.
func (s Signature) checkOutputs(outputs Tensors, batch int64) error {
	if len(outputs) != len(s.Outputs) {
		return fmt.Errorf("the model returned %d outputs, declared %d", len(outputs), len(s.Outputs))
	}
	for _, spec := range s.Outputs {
		tensor, err := outputs.Tensor(spec.Name)
		if err != nil {
			return fmt.Errorf("the model's outputs: %w", err)
		}
		if err := s.checkTensor(spec, tensor); err != nil {
			return fmt.Errorf("the model's outputs: %w", err)
		}
		if s.MaxBatch > 0 && tensor.Shape[0] != batch {
			return fmt.Errorf("the model's outputs: tensor %q: batch size is %d, that of the inputs %d", spec.Name, tensor.Shape[0], batch)
		}
		if err := tensor.checkData(); err != nil {
			return fmt.Errorf("the model's outputs: %w", err)
		}
	}
	return nil
}

// requestedOutputs lists the declared outputs that a request asks for: all of them if
// it names none.
func (s Signature) requestedOutputs(request *inference.ModelInferRequest) ([]TensorSpec, error) {
	if len(request.GetOutputs()) == 0 {
		return s.Outputs, nil
	}
	if len(request.GetOutputs()) > len(s.Outputs) {
		return nil, fmt.Errorf("outputs: asks for %d, there are %d", len(request.GetOutputs()), len(s.Outputs))
	}
	var specs []TensorSpec
	for i, output := range request.GetOutputs() {
		spec, err := specOf(s.Outputs, output.GetName())
		if err != nil {
			return nil, fmt.Errorf("outputs[%d]: %w", i, err)
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// encodeResponse makes the answer out of checked outputs. Contents are always raw, as
// public clients read nothing else.
func encodeResponse(request *inference.ModelInferRequest, requested []TensorSpec, outputs Tensors) (*inference.ModelInferResponse, error) {
	response := &inference.ModelInferResponse{
		ModelName:    request.GetModelName(),
		ModelVersion: request.GetModelVersion(),
		Id:           request.GetId(),
	}
	for _, spec := range requested {
		tensor, err := outputs.Tensor(spec.Name)
		if err != nil {
			return nil, err
		}
		response.Outputs = append(response.Outputs, &inference.ModelInferResponse_InferOutputTensor{
			Name:     tensor.Name,
			Datatype: string(tensor.Datatype),
			Shape:    tensor.Shape,
		})
		response.RawOutputContents = append(response.RawOutputContents, tensor.Data)
	}
	return response, nil
}
