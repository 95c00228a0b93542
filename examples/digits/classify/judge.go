package main

import (
	"fmt"
	"io"

	"sluice/examples/digits/heldout"
	"sluice/examples/digits/network"
	"sluice/examples/digits/reference"
)

// judge prints how many classes are the reference's and how many are right, and says
// whether that is enough.
func judge(images []heldout.Image, classes []int64, output io.Writer) error {
	layers, err := network.Layers()
	if err != nil {
		return err
	}
	equal, right := 0, 0
	for i, image := range images {
		want := reference.Class(reference.Logits(layers, image.Pixels[:]))
		if classes[i] == int64(want) {
			equal++
		} else {
			fmt.Fprintf(output, "image %d: class is %d, the reference's %d\n", i, classes[i], want)
		}
		if classes[i] == int64(image.Label) {
			right++
		}
	}
	accuracy := float64(right) / float64(len(images))
	fmt.Fprintf(output, "equal to the reference: %d of %d\naccuracy: %.3f\n", equal, len(images), accuracy)
	if equal != len(images) {
		return fmt.Errorf("%d predictions are not the reference's", len(images)-equal)
	}
	if accuracy < minAccuracy {
		return fmt.Errorf("accuracy is %.3f, want %.3f at least", accuracy, minAccuracy)
	}
	return nil
}
