// Package network holds the trained weights of the digits network.
package network

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes of the network's input and output.
const (
	Pixels  = 64 // 8 rows of 8, each from 0 to 1
	Classes = 10 // the digits 0 to 9
)

const (
	maxLayers    = 16
	maxLayerSize = 4096
)

// Layer is a dense layer: output[o] = biases[o] + the sum over i of input[i] * weights[i][o].
// Every layer but the last is followed by max(0, x).
type Layer struct {
	Inputs, Outputs int
	Weights         []float32 // Inputs rows of Outputs
	Biases          []float32 // Outputs
}

//go:embed weights.bin
var weights []byte

// Layers decodes the trained layers; training/train.py describes the format.
func Layers() ([]Layer, error) {
	return decode(weights)
}

func decode(data []byte) ([]Layer, error) {
	reader := bytes.NewReader(data)
	var count uint32
	if err := read(reader, &count); err != nil {
		return nil, fmt.Errorf("weights: number of layers: %w", err)
	}
	if count == 0 || count > maxLayers {
		return nil, fmt.Errorf("weights: %d layers, want 1 to %d", count, maxLayers)
	}
	var layers []Layer
	inputs := uint32(Pixels)
	for i := range count {
		var size struct{ Inputs, Outputs uint32 }
		if err := read(reader, &size); err != nil {
			return nil, fmt.Errorf("weights: sizes of layer %d: %w", i, err)
		}
		if size.Inputs != inputs || size.Outputs == 0 || size.Outputs > maxLayerSize {
			return nil, fmt.Errorf("weights: layer %d is %d by %d, want %d by 1 to %d", i, size.Inputs, size.Outputs, inputs, maxLayerSize)
		}
		layer := Layer{
			Inputs:  int(size.Inputs),
			Outputs: int(size.Outputs),
			Weights: make([]float32, size.Inputs*size.Outputs),
			Biases:  make([]float32, size.Outputs),
		}
		if err := errors.Join(read(reader, layer.Weights), read(reader, layer.Biases)); err != nil {
			return nil, fmt.Errorf("weights: values of layer %d: %w", i, err)
		}
		layers = append(layers, layer)
		inputs = size.Outputs
	}
	if inputs != Classes || reader.Len() != 0 {
		return nil, fmt.Errorf("weights: %d outputs and %d bytes too many, want %d and 0", inputs, reader.Len(), Classes)
	}
	return layers, nil
}

func read(reader *bytes.Reader, into any) error {
	return binary.Read(reader, binary.LittleEndian, into)
}
