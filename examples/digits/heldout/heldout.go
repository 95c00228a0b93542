// Package heldout holds the images of handwritten digits that the network was not
// trained on.
package heldout

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"

	"sluice/examples/digits/network"
)

// maxPixel is the darkest value of a pixel in the data set.
const maxPixel = 16

// Image is one handwritten digit.
type Image struct {
	// Pixels are 8 rows of 8, each from 0 (white) to 1 (black).
	Pixels [network.Pixels]float32
	// Label is the digit that the writer meant, 0 to 9.
	Label int
}

//go:embed images.csv
var images []byte

// Images decodes the held-out images; training/train.py describes the format.
func Images() ([]Image, error) {
	return decode(images)
}

func decode(data []byte) ([]Image, error) {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.FieldsPerRecord = network.Pixels + 1
	reader.ReuseRecord = true
	var decoded []Image
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return decoded, nil
		}
		if err != nil {
			return nil, fmt.Errorf("held-out images: %w", err)
		}
		image, err := decodeImage(record)
		if err != nil {
			return nil, fmt.Errorf("held-out images: line %d: %w", len(decoded)+1, err)
		}
		decoded = append(decoded, image)
	}
}

func decodeImage(record []string) (Image, error) {
	var image Image
	for i, field := range record[:network.Pixels] {
		pixel, err := strconv.Atoi(field)
		if err != nil || pixel < 0 || pixel > maxPixel {
			return Image{}, fmt.Errorf("pixel %d is %q, want 0 to %d", i, field, maxPixel)
		}
		image.Pixels[i] = float32(pixel) / maxPixel
	}
	label, err := strconv.Atoi(record[network.Pixels])
	if err != nil || label < 0 || label >= network.Classes {
		return Image{}, fmt.Errorf("label is %q, want 0 to %d", record[network.Pixels], network.Classes-1)
	}
	image.Label = label
	return image, nil
}
