package main

import (
	"math"
	"math/rand/v2"
)

// layer is a dense layer of width inputs and as many outputs:
// output[o] = max(0, biases[o] + the sum over i of input[i] * weights[i][o]).
type layer struct {
	weights []float32 // panels of panelOutputs outputs each; in a panel, a row of them per input
	biases  []float32
}

// newLayers draws the weights evenly from a range that keeps the values' variance from layer to layer where negative
// ones become 0 (He et al., Delving Deep into Rectifiers, 2015, section 2.2). Equal seeds give equal weights everywhere.
func newLayers(width, depth int, seed uint64) []layer {
	bound := float32(math.Sqrt(6 / float64(width)))
	layers := make([]layer, depth)
	for i := range layers {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		layers[i] = layer{weights: drawn(random, width*width, bound), biases: drawn(random, width, 0.1)}
	}
	return layers
}

// drawn are values between -bound and bound.
func drawn(random *rand.Rand, count int, bound float32) []float32 {
	values := make([]float32, count)
	for i := range values {
		values[i] = (2*random.Float32() - 1) * bound
	}
	return values
}

// weight is that from an input to an output.
func (l layer) weight(input, output int) float32 {
	width := len(l.biases)
	panel := output / panelOutputs * panelOutputs * width
	return l.weights[panel+input*panelOutputs+output%panelOutputs]
}
