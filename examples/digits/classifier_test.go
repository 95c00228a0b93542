package main

import (
	"context"
	"slices"
	"testing"

	"sluice/examples/digits/heldout"
	"sluice/examples/digits/network"
	"sluice/examples/digits/reference"
	"sluice/function"
)

// Every logit that the kernels compute is, bit for bit, the reference's, and so is
// every class, whatever the batch size.
func TestKernelsEqualTheReference(t *testing.T) {
	layers, err := network.Layers()
	if err != nil {
		t.Fatal(err)
	}
	images, err := heldout.Images()
	if err != nil {
		t.Fatal(err)
	}
	model := &classifier{}
	if err := model.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for begin, size := 0, 1; begin < len(images); begin, size = begin+size, size%maxBatch+1 {
		batch := images[begin:min(begin+size, len(images))]
		logits, classes := infer(t.Context(), t, model, batch)
		for i, image := range batch {
			want := reference.Logits(layers, image.Pixels[:])
			got := logits[i*network.Classes : (i+1)*network.Classes]
			if !slices.Equal(got, want) {
				t.Errorf("image %d: logits %v, the reference's %v", begin+i, got, want)
			}
			if classes[i] != int64(reference.Class(want)) {
				t.Errorf("image %d: class %d, the reference's %d", begin+i, classes[i], reference.Class(want))
			}
		}
	}
}

func infer(ctx context.Context, t *testing.T, model *classifier, images []heldout.Image) ([]float32, []int64) {
	t.Helper()
	var pixels []float32
	for _, image := range images {
		pixels = append(pixels, image.Pixels[:]...)
	}
	shape := []int64{int64(len(images)), network.Pixels}
	outputs, err := model.Infer(ctx, function.Tensors{function.Float32Tensor("PIXELS", shape, pixels)})
	if err != nil {
		t.Fatal(err)
	}
	logits, err := outputs.Float32s("LOGITS")
	if err != nil {
		t.Fatal(err)
	}
	classes, err := outputs.Int64s("CLASS")
	if err != nil {
		t.Fatal(err)
	}
	return logits, classes
}
