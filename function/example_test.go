package function_test

import (
	"context"

	"sluice/function"
)

// doubler doubles vectors of four.
type doubler struct{}

func (doubler) Signature() function.Signature {
	vector := []int64{-1, 4}
	return function.Signature{
		Platform: "go",
		MaxBatch: 16,
		Inputs:   []function.TensorSpec{{Name: "IN", Datatype: function.FP32, Shape: vector}},
		Outputs:  []function.TensorSpec{{Name: "OUT", Datatype: function.FP32, Shape: vector}},
	}
}

func (doubler) Load(context.Context) error { return nil }

func (doubler) Infer(_ context.Context, inputs function.Tensors) (function.Tensors, error) {
	values, err := inputs.Float32s("IN")
	if err != nil {
		return nil, err
	}
	for i := range values {
		values[i] *= 2
	}
	return function.Tensors{function.Float32Tensor("OUT", inputs[0].Shape, values)}, nil
}

// A whole program: its main calls Main with the model.
func Example() {
	function.Main(doubler{})
}
