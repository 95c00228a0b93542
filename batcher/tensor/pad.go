package tensor

import (
	"fmt"
	"slices"
)

// paddedDimension is the one that Pad and Cut change: the first behind the batch.
const paddedDimension = 1

// CanPad says whether a tensor has a dimension that Pad and Cut could change.
func CanPad(shape []int64) bool { return len(shape) > paddedDimension }

// Pad makes the second dimension of a tensor longer, with elements of zero (BYTES: of no bytes) behind those that are there,
// and appends its data to out. raw must satisfy Check, and CanPad its shape; length must not be less than it has.
func Pad(out []byte, datatype string, shape []int64, raw []byte, length int64) ([]byte, error) {
	return resize(out, datatype, shape, raw, length)
}

// Cut makes the second dimension of a tensor shorter, likewise.
func Cut(datatype string, shape []int64, raw []byte, length int64) ([]byte, error) {
	return resize(nil, datatype, shape, raw, length)
}

func resize(out []byte, datatype string, shape []int64, raw []byte, length int64) ([]byte, error) {
	inner, err := Elements(shape[paddedDimension+1:])
	if err != nil {
		return nil, err
	}
	has := shape[paddedDimension]
	empty := elementBytes[datatype]
	if datatype == Bytes {
		empty = bytesHeader
	}
	padding := int(max(length-has, 0) * inner * empty)
	out = slices.Grow(out, len(raw)+int(shape[0])*padding)
	for range shape[0] {
		keep, err := elementsEnd(datatype, raw, min(has, length)*inner)
		if err != nil {
			return nil, fmt.Errorf("%w of %s%v", err, datatype, shape)
		}
		out = append(out, raw[:keep]...)
		out = append(out, make([]byte, padding)...)
		end, err := elementsEnd(datatype, raw, has*inner)
		if err != nil {
			return nil, fmt.Errorf("%w of %s%v", err, datatype, shape)
		}
		raw = raw[end:]
	}
	return out, nil
}

// elementsEnd is where the first so many elements end.
func elementsEnd(datatype string, raw []byte, count int64) (int, error) {
	if datatype == Bytes {
		return skipBytes(raw, count)
	}
	end := count * elementBytes[datatype]
	if end > int64(len(raw)) {
		return 0, fmt.Errorf("%w: data ends before element %d", ErrTensor, count)
	}
	return int(end), nil
}
