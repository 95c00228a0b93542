package main

import (
	"context"
	"time"

	"sluice/function"
)

const (
	linearWidth = 4
	// linearRow is how long a row keeps the function.
	linearRow = 2 * time.Millisecond
)

// linear is a function whose batches do not pay: each row takes as long as it takes alone.
type linear struct{}

func (linear) Signature() function.Signature {
	shape := []int64{-1, linearWidth}
	return function.Signature{
		Platform: "go",
		MaxBatch: 32,
		Inputs:   []function.TensorSpec{{Name: "INPUT", Datatype: function.FP32, Shape: shape}},
		Outputs:  []function.TensorSpec{{Name: "OUTPUT", Datatype: function.FP32, Shape: shape}},
	}
}

func (linear) Load(context.Context) error { return nil }

// Infer waits without giving the processor back, as a kernel would.
func (linear) Infer(_ context.Context, inputs function.Tensors) (function.Tensors, error) {
	for end := time.Now().Add(time.Duration(inputs[0].Shape[0]) * linearRow); time.Now().Before(end); {
	}
	return function.Tensors{{Name: "OUTPUT", Datatype: function.FP32, Shape: inputs[0].Shape, Data: inputs[0].Data}}, nil
}
