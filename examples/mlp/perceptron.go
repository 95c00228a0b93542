package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"

	"sluice/examples/opencl"
	"sluice/function"
)

const (
	maxBatch     = 32 // a multiple of tileRows
	float32Bytes = 4
	// As mlp.cl has them.
	panelOutputs = 16
	tileRows     = 4
)

//go:embed mlp.cl
var source string

// perceptron is depth dense layers of width inputs and outputs (a multiple of panelOutputs), with weights drawn from
// seed. It holds the device and the prepared layers once it is loaded.
type perceptron struct {
	width, depth int
	seed         uint64

	device  *opencl.Context
	input   *opencl.Buffer
	output  *opencl.Buffer
	kernels []*opencl.Kernel // one per layer, its arguments set
}

func (p *perceptron) Signature() function.Signature {
	shape := []int64{-1, int64(p.width)}
	return function.Signature{
		Platform: "opencl",
		MaxBatch: maxBatch,
		Inputs:   []function.TensorSpec{{Name: "INPUT", Datatype: function.FP32, Shape: shape}},
		Outputs:  []function.TensorSpec{{Name: "OUTPUT", Datatype: function.FP32, Shape: shape}},
	}
}

func (p *perceptron) Load(context.Context) error {
	var err error
	if p.device, err = opencl.Open(); err != nil {
		return err
	}
	name, err := p.device.DeviceName()
	if err != nil {
		return err
	}
	slog.Info("device opened", "device", name)
	program, err := p.device.BuildProgram(source)
	if err != nil {
		return err
	}
	defer program.Release()
	if p.input, err = p.newRows(); err != nil {
		return err
	}
	p.output = p.input
	for i, layer := range newLayers(p.width, p.depth, p.seed) {
		if err := p.loadLayer(program, layer); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// newRows allocates a batch of rows.
func (p *perceptron) newRows() (*opencl.Buffer, error) {
	return p.device.NewBuffer(maxBatch * p.width * float32Bytes)
}

// loadLayer copies a layer to the device and appends its kernel, which reads the output that was the last before.
func (p *perceptron) loadLayer(program *opencl.Program, l layer) error {
	weights, err := p.upload(l.weights)
	if err != nil {
		return err
	}
	biases, err := p.upload(l.biases)
	if err != nil {
		return err
	}
	output, err := p.newRows()
	if err != nil {
		return err
	}
	kernel, err := program.Kernel("dense")
	if err != nil {
		return err
	}
	if err := kernel.SetArguments(p.output, weights, biases, output, int32(p.width)); err != nil {
		return err
	}
	p.kernels = append(p.kernels, kernel)
	p.output = output
	return nil
}

// upload copies values into a buffer of their own.
func (p *perceptron) upload(values []float32) (*opencl.Buffer, error) {
	data := make([]byte, 0, len(values)*float32Bytes)
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	buffer, err := p.device.NewBuffer(len(data))
	if err != nil {
		return nil, err
	}
	return buffer, p.device.Write(buffer, data)
}

// Infer runs a batch through the layers. After a failed call the device's state is unknown, so that every error is
// fatal.
func (p *perceptron) Infer(_ context.Context, inputs function.Tensors) (function.Tensors, error) {
	outputs, err := p.infer(inputs[0])
	return outputs, function.Fatal(err)
}

// infer computes whole tiles of rows: what the last has more than the batch is left from earlier ones and is not read.
func (p *perceptron) infer(input function.Tensor) (function.Tensors, error) {
	rows := int(input.Shape[0])
	tiles := (rows + tileRows - 1) / tileRows
	if err := p.device.Write(p.input, input.Data); err != nil {
		return nil, fmt.Errorf("write the input: %w", err)
	}
	for i, kernel := range p.kernels {
		if err := p.device.Run(kernel, []int{tiles, p.width / panelOutputs}, []int{1, 1}); err != nil {
			return nil, fmt.Errorf("run layer %d: %w", i, err)
		}
	}
	output := make([]byte, rows*p.width*float32Bytes)
	if err := p.device.Read(p.output, output); err != nil {
		return nil, fmt.Errorf("read the output: %w", err)
	}
	return function.Tensors{
		{Name: "OUTPUT", Datatype: function.FP32, Shape: []int64{int64(rows), int64(p.width)}, Data: output},
	}, nil
}
