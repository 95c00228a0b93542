// Package tensor knows how Open Inference Protocol v2 puts tensors into bytes: row-major, little-endian, no padding;
// an element of BYTES is its length as 4 bytes and its data (protocol/extension_binary_data.md). It checks such
// bytes, makes them from typed contents, and joins and splits them along the first dimension.
package tensor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrTensor is the error of data that does not fit its datatype and shape.
var ErrTensor = errors.New("tensor")

// Bytes is the datatype whose elements differ in length.
const Bytes = "BYTES"

// MaxRank is the most dimensions that a shape may have.
const MaxRank = 16

// bytesHeader is the length in front of each BYTES element.
const bytesHeader = 4

// elementBytes holds the datatypes and their element's length, 0 where it differs.
var elementBytes = map[string]int64{
	"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
	"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8, Bytes: 0,
}

// Elements returns the number of elements in a shape. A negative dimension, more than MaxRank dimensions or a
// product that overflows give ErrTensor.
func Elements(shape []int64) (int64, error) {
	if len(shape) > MaxRank {
		return 0, fmt.Errorf("%w: shape has %d dimensions, the limit is %d", ErrTensor, len(shape), MaxRank)
	}
	for i, dimension := range shape {
		if dimension < 0 {
			return 0, fmt.Errorf("%w: shape[%d] is %d, less than 0", ErrTensor, i, dimension)
		}
	}
	// An empty tensor may carry any other dimensions.
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	product := int64(1)
	for _, dimension := range shape {
		if product > math.MaxInt64/dimension {
			return 0, fmt.Errorf("%w: shape %v has more elements than can be counted", ErrTensor, shape)
		}
		product *= dimension
	}
	return product, nil
}

// Check demands that raw holds exactly the elements of a tensor of datatype and shape.
func Check(datatype string, shape []int64, raw []byte) error {
	elements, err := Elements(shape)
	if err != nil {
		return err
	}
	size, known := elementBytes[datatype]
	switch {
	case !known:
		return fmt.Errorf("%w: datatype %q is unknown", ErrTensor, datatype)
	case datatype == Bytes:
		return checkBytes(elements, shape, raw)
	case elements > math.MaxInt64/size || elements*size != int64(len(raw)):
		return fmt.Errorf("%w: %d bytes of data, but %s%v needs %d elements of %d bytes",
			ErrTensor, len(raw), datatype, shape, elements, size)
	}
	return nil
}

func checkBytes(elements int64, shape []int64, raw []byte) error {
	end, err := skipBytes(raw, elements)
	if err != nil {
		return fmt.Errorf("%w for BYTES%v", err, shape)
	}
	if end != len(raw) {
		return fmt.Errorf("%w: %d bytes of data follow the last element of BYTES%v", ErrTensor, len(raw)-end, shape)
	}
	return nil
}

// skipBytes returns where the element after the first count of BYTES elements begins.
func skipBytes(raw []byte, count int64) (int, error) {
	at := 0
	for i := range count {
		if len(raw)-at < bytesHeader {
			return 0, fmt.Errorf("%w: data ends before element %d of %d", ErrTensor, i, count)
		}
		length := binary.LittleEndian.Uint32(raw[at:])
		at += bytesHeader
		if uint64(length) > uint64(len(raw)-at) {
			return 0, fmt.Errorf("%w: element %d says %d bytes, %d are left", ErrTensor, i, length, len(raw)-at)
		}
		at += int(length)
	}
	return at, nil
}

// Split cuts the data of a tensor into parts of so many rows along the first dimension, without copying. The sum of
// rows must be shape[0], and raw must satisfy Check.
func Split(datatype string, shape []int64, raw []byte, rows []int) ([][]byte, error) {
	if err := Check(datatype, shape, raw); err != nil {
		return nil, err
	}
	total := 0
	for _, count := range rows {
		total += count
	}
	if len(shape) == 0 || shape[0] != int64(total) {
		return nil, fmt.Errorf("%w: shape %v does not have %d as its first dimension", ErrTensor, shape, total)
	}
	perRow, err := Elements(shape[1:])
	if err != nil {
		return nil, err
	}
	parts := make([][]byte, len(rows))
	for i, count := range rows {
		end, err := elementsEnd(datatype, raw, perRow*int64(count))
		if err != nil {
			return nil, err
		}
		parts[i], raw = raw[:end:end], raw[end:]
	}
	return parts, nil
}
