// Package reference computes the digits network in plain Go. It multiplies and adds in
// float32 in the order in which the OpenCL kernels do, so that both find the same.
package reference

import "sluice/examples/digits/network"

// Logits runs one image through the layers. The largest value belongs to the class found.
func Logits(layers []network.Layer, pixels []float32) []float32 {
	values := pixels
	for i, layer := range layers {
		values = dense(layer, values)
		if i < len(layers)-1 {
			for o := range values {
				values[o] = max(0, values[o])
			}
		}
	}
	return values
}

func dense(layer network.Layer, inputs []float32) []float32 {
	outputs := make([]float32, layer.Outputs)
	for o := range outputs {
		sum := layer.Biases[o]
		for i, input := range inputs {
			// The conversion keeps the compiler from joining product and sum in one rounding.
			sum += float32(input * layer.Weights[i*layer.Outputs+o])
		}
		outputs[o] = sum
	}
	return outputs
}

// Class is the class with the largest logit, the first of equals.
func Class(logits []float32) int {
	class := 0
	for i, logit := range logits {
		if logit > logits[class] {
			class = i
		}
	}
	return class
}
