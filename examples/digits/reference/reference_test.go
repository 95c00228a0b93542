package reference

import (
	"slices"
	"testing"

	"sluice/examples/digits/heldout"
	"sluice/examples/digits/network"
)

// minAccuracy is what the network must reach on the held-out images.
const minAccuracy = 0.95

func TestLogitsByHand(t *testing.T) {
	layers := []network.Layer{
		{Inputs: 2, Outputs: 3, Weights: []float32{1, 2, -1, 3, -4, -1}, Biases: []float32{0.5, 0, 1}},
		{Inputs: 3, Outputs: 2, Weights: []float32{1, -1, 2, 10, 3, 100}, Biases: []float32{-8, 7}},
	}
	// layer 1: 0.5+1+6 = 7.5; 2-8 = -6, cut to 0; 1-1-2 = -2, cut to 0
	if got := Logits(layers, []float32{1, 2}); !slices.Equal(got, []float32{-0.5, -0.5}) {
		t.Errorf("logits are %v", got)
	}
}

func TestClass(t *testing.T) {
	for _, test := range []struct {
		logits []float32
		want   int
	}{{[]float32{-3, -1, -2}, 1}, {[]float32{1, 2, 2}, 1}, {[]float32{0}, 0}} {
		if got := Class(test.logits); got != test.want {
			t.Errorf("class of %v is %d, want %d", test.logits, got, test.want)
		}
	}
}

func TestAccuracy(t *testing.T) {
	layers, err := network.Layers()
	if err != nil {
		t.Fatal(err)
	}
	images, err := heldout.Images()
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, image := range images {
		if Class(Logits(layers, image.Pixels[:])) == image.Label {
			right++
		}
	}
	if accuracy := float64(right) / float64(len(images)); accuracy < minAccuracy {
		t.Errorf("accuracy is %.3f, want %.3f at least", accuracy, minAccuracy)
	}
}
