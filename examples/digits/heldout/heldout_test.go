package heldout

import (
	"strings"
	"testing"

	"sluice/examples/digits/network"
)

func TestImagesShowEveryDigit(t *testing.T) {
	images, err := Images()
	if err != nil {
		t.Fatal(err)
	}
	if len(images) < 360 {
		t.Errorf("%d images, want 360 at least", len(images))
	}
	labels := make(map[int]int)
	for _, image := range images {
		labels[image.Label]++
	}
	for digit := range network.Classes {
		if labels[digit] < len(images)/network.Classes/2 {
			t.Errorf("%d images show %d", labels[digit], digit)
		}
	}
}

func TestDecodeRefusesOtherFiles(t *testing.T) {
	row := strings.Repeat("16,", network.Pixels)
	if images, err := decode([]byte(row + "9\n")); err != nil || images[0].Label != 9 || images[0].Pixels[0] != 1 {
		t.Fatalf("a good line: %v, %v", images, err)
	}
	for _, line := range []string{row + "10", row + "-1", row + "x", "17," + row[3:] + "1", "1,2", row + "1,1"} {
		if _, err := decode([]byte(line)); err == nil {
			t.Errorf("line %q was decoded", line)
		}
	}
}
