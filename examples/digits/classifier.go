package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"

	"sluice/examples/digits/network"
	"sluice/examples/opencl"
	"sluice/function"
)

const (
	maxBatch     = 32
	float32Bytes = 4
	int64Bytes   = 8
)

//go:embed network.cl
var source string

// classifier holds the device, the weights on it, and the buffers between the layers.
type classifier struct {
	device  *opencl.Context
	pixels  *opencl.Buffer
	layers  []layer
	argmax  *opencl.Kernel
	classes *opencl.Buffer
}

// layer is a kernel whose arguments are set, and the size of its output.
type layer struct {
	kernel  *opencl.Kernel
	outputs int
	values  *opencl.Buffer
}

func (c *classifier) Signature() function.Signature {
	return function.Signature{
		Platform: "opencl",
		MaxBatch: maxBatch,
		Inputs: []function.TensorSpec{
			{Name: "PIXELS", Datatype: function.FP32, Shape: []int64{-1, network.Pixels}},
		},
		Outputs: []function.TensorSpec{
			{Name: "LOGITS", Datatype: function.FP32, Shape: []int64{-1, network.Classes}},
			{Name: "CLASS", Datatype: function.INT64, Shape: []int64{-1, 1}},
		},
	}
}

func (c *classifier) Load(context.Context) error {
	layers, err := network.Layers()
	if err != nil {
		return err
	}
	if c.device, err = opencl.Open(); err != nil {
		return err
	}
	name, err := c.device.DeviceName()
	if err != nil {
		return err
	}
	slog.Info("device opened", "device", name)
	program, err := c.device.BuildProgram(source)
	if err != nil {
		return err
	}
	defer program.Release()
	if c.pixels, err = c.device.NewBuffer(maxBatch * network.Pixels * float32Bytes); err != nil {
		return err
	}
	values := c.pixels
	for i, weights := range layers {
		loaded, err := c.loadLayer(program, weights, values, i < len(layers)-1)
		if err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
		c.layers = append(c.layers, loaded)
		values = loaded.values
	}
	if c.classes, err = c.device.NewBuffer(maxBatch * int64Bytes); err != nil {
		return err
	}
	if c.argmax, err = program.Kernel("classify"); err != nil {
		return err
	}
	return c.argmax.SetArguments(values, c.classes, int32(network.Classes))
}

// loadLayer copies a layer's weights to the device and prepares its kernel to read inputs.
func (c *classifier) loadLayer(program *opencl.Program, weights network.Layer, inputs *opencl.Buffer, rectify bool) (layer, error) {
	weightBuffer, err := c.upload(weights.Weights)
	if err != nil {
		return layer{}, err
	}
	biasBuffer, err := c.upload(weights.Biases)
	if err != nil {
		return layer{}, err
	}
	values, err := c.device.NewBuffer(maxBatch * weights.Outputs * float32Bytes)
	if err != nil {
		return layer{}, err
	}
	kernel, err := program.Kernel("dense")
	if err != nil {
		return layer{}, err
	}
	var rectifyFlag int32
	if rectify {
		rectifyFlag = 1
	}
	err = kernel.SetArguments(inputs, weightBuffer, biasBuffer, values, int32(weights.Inputs), rectifyFlag)
	return layer{kernel: kernel, outputs: weights.Outputs, values: values}, err
}

// upload copies values into a buffer of their own.
func (c *classifier) upload(values []float32) (*opencl.Buffer, error) {
	data := make([]byte, 0, len(values)*float32Bytes)
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	buffer, err := c.device.NewBuffer(len(data))
	if err != nil {
		return nil, err
	}
	return buffer, c.device.Write(buffer, data)
}

// Infer runs a batch through the layers. After a failed call the device's state is
// unknown, so that every error is fatal.
func (c *classifier) Infer(_ context.Context, inputs function.Tensors) (function.Tensors, error) {
	outputs, err := c.infer(inputs[0])
	return outputs, function.Fatal(err)
}

func (c *classifier) infer(pixels function.Tensor) (function.Tensors, error) {
	rows := int(pixels.Shape[0])
	if err := c.device.Write(c.pixels, pixels.Data); err != nil {
		return nil, fmt.Errorf("write the pixels: %w", err)
	}
	for i, layer := range c.layers {
		if err := c.device.Run(layer.kernel, []int{layer.outputs, rows}, []int{layer.outputs, 1}); err != nil {
			return nil, fmt.Errorf("run layer %d: %w", i, err)
		}
	}
	if err := c.device.Run(c.argmax, []int{rows}, []int{1}); err != nil {
		return nil, fmt.Errorf("run classify: %w", err)
	}
	logits := make([]byte, rows*network.Classes*float32Bytes)
	if err := c.device.Read(c.layers[len(c.layers)-1].values, logits); err != nil {
		return nil, fmt.Errorf("read the logits: %w", err)
	}
	classes := make([]byte, rows*int64Bytes)
	if err := c.device.Read(c.classes, classes); err != nil {
		return nil, fmt.Errorf("read the classes: %w", err)
	}
	batch := int64(rows)
	return function.Tensors{
		{Name: "LOGITS", Datatype: function.FP32, Shape: []int64{batch, network.Classes}, Data: logits},
		{Name: "CLASS", Datatype: function.INT64, Shape: []int64{batch, 1}, Data: classes},
	}, nil
}
