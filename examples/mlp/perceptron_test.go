package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/function"
)

// Every value that the kernels compute is, bit for bit, that of a plain loop, whatever the batch size.
func TestKernelsEqualAPlainLoop(t *testing.T) {
	model := &perceptron{width: 64, depth: 3, seed: 7}
	if err := model.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	layers := newLayers(model.width, model.depth, model.seed)
	random := rand.New(rand.NewPCG(1, 2))
	for rows := 1; rows <= maxBatch; rows++ {
		input := drawn(random, rows*model.width, 1)
		got := infer(t, model, rows, input)
		for row := range rows {
			begin, end := row*model.width, (row+1)*model.width
			if want := plain(layers, input[begin:end]); !slices.Equal(got[begin:end], want) {
				t.Fatalf("row %d of %d: %v, want %v", row, rows, got[begin:end], want)
			}
		}
	}
}

// plain computes the layers for one row.
func plain(layers []layer, values []float32) []float32 {
	for _, layer := range layers {
		outputs := slices.Clone(layer.biases)
		for o := range outputs {
			for i, value := range values {
				product := value * layer.weight(i, o)
				outputs[o] = float32(outputs[o] + float32(product))
			}
			outputs[o] = max(outputs[o], 0)
		}
		values = outputs
	}
	return values
}

// BenchmarkInfer is the curve of a batch's latency over its size, on the driver that the loader finds.
func BenchmarkInfer(b *testing.B) {
	model := &perceptron{width: 2048, depth: 4, seed: 1}
	if err := model.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, rows := range []int{1, 2, 4, 8, 16, 32} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			input := make([]float32, rows*model.width)
			for b.Loop() {
				infer(b, model, rows, input)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*rows), "us/row")
		})
	}
}

func infer(t testing.TB, model *perceptron, rows int, input []float32) []float32 {
	t.Helper()
	shape := []int64{int64(rows), int64(model.width)}
	outputs, err := model.Infer(t.Context(), function.Tensors{function.Float32Tensor("INPUT", shape, input)})
	if err != nil {
		t.Fatal(err)
	}
	values, err := outputs.Float32s("OUTPUT")
	if err != nil {
		t.Fatal(err)
	}
	return values
}
