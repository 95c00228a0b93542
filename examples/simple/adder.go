package main

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"

	"sluice/examples/opencl"
	"sluice/function"
)

const (
	maxBatch   = 8
	vectorSize = 16
	int32Bytes = 4
)

//go:embed add.cl
var source string

// adder holds the device and what is reused from inference to inference.
type adder struct {
	device                         *opencl.Context
	kernel                         *opencl.Kernel
	first, second, sum, difference *opencl.Buffer
}

func (a *adder) Signature() function.Signature {
	shape := []int64{-1, vectorSize}
	return function.Signature{
		Platform: "opencl",
		MaxBatch: maxBatch,
		Inputs: []function.TensorSpec{
			{Name: "INPUT0", Datatype: function.INT32, Shape: shape},
			{Name: "INPUT1", Datatype: function.INT32, Shape: shape},
		},
		Outputs: []function.TensorSpec{
			{Name: "OUTPUT0", Datatype: function.INT32, Shape: shape},
			{Name: "OUTPUT1", Datatype: function.INT32, Shape: shape},
		},
	}
}

func (a *adder) Load(context.Context) error {
	device, err := opencl.Open()
	if err != nil {
		return err
	}
	a.device = device
	name, err := device.DeviceName()
	if err != nil {
		return err
	}
	slog.Info("device opened", "device", name)
	program, err := device.BuildProgram(source)
	if err != nil {
		return err
	}
	defer program.Release()
	if a.kernel, err = program.Kernel("add_and_subtract"); err != nil {
		return err
	}
	for _, buffer := range []**opencl.Buffer{&a.first, &a.second, &a.sum, &a.difference} {
		if *buffer, err = device.NewBuffer(maxBatch * vectorSize * int32Bytes); err != nil {
			return err
		}
	}
	return a.kernel.SetArguments(a.first, a.second, a.sum, a.difference)
}

// Infer computes a batch in one run of the kernel. OpenCL's values are the protocol's:
// little-endian and row-major. After a failed call the device's state is unknown, so
// that every error is fatal.
func (a *adder) Infer(_ context.Context, inputs function.Tensors) (function.Tensors, error) {
	shape := inputs[0].Shape
	count := int(shape[0]) * vectorSize
	for i, buffer := range []*opencl.Buffer{a.first, a.second} {
		if err := a.device.Write(buffer, inputs[i].Data); err != nil {
			return nil, function.Fatal(fmt.Errorf("write %s: %w", inputs[i].Name, err))
		}
	}
	if err := a.device.Run(a.kernel, []int{count}, []int{vectorSize}); err != nil {
		return nil, function.Fatal(err)
	}
	outputs := function.Tensors{
		{Name: "OUTPUT0", Datatype: function.INT32, Shape: shape, Data: make([]byte, count*int32Bytes)},
		{Name: "OUTPUT1", Datatype: function.INT32, Shape: shape, Data: make([]byte, count*int32Bytes)},
	}
	for i, buffer := range []*opencl.Buffer{a.sum, a.difference} {
		if err := a.device.Read(buffer, outputs[i].Data); err != nil {
			return nil, function.Fatal(fmt.Errorf("read %s: %w", outputs[i].Name, err))
		}
	}
	return outputs, nil
}
