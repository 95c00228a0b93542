package tensor

import (
	"encoding/binary"
	"fmt"
	"math"

	"sluice/proto/gen/inference"
)

// Encode turns typed contents into the bytes that a tensor of datatype and shape has. Contents in a field of another
// datatype, a wrong number of them or a value out of range give ErrTensor; so do FP16 and BF16, which have no field.
// nil contents are those of an empty tensor.
func Encode(datatype string, shape []int64, contents *inference.InferTensorContents) ([]byte, error) {
	elements, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	field, count := usedField(contents)
	want := contentsField[datatype]
	switch {
	case want == "":
		return nil, fmt.Errorf("%w: datatype %q has no typed contents", ErrTensor, datatype)
	case field != "" && field != want:
		return nil, fmt.Errorf("%w: %s holds data, but %s belongs into %s alone", ErrTensor, field, datatype, want)
	case int64(count) != elements:
		return nil, fmt.Errorf("%w: %s has %d elements, but shape %v needs %d", ErrTensor, want, count, shape, elements)
	}
	return encode(datatype, contents)
}

// contentsField names the field of InferTensorContents that belongs to each datatype.
var contentsField = map[string]string{
	"BOOL": "bool_contents",
	"INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents", "INT64": "int64_contents",
	"UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
	"FP32": "fp32_contents", "FP64": "fp64_contents", Bytes: "bytes_contents",
}

// usedField names the field that holds data and how many elements, or "several fields".
func usedField(contents *inference.InferTensorContents) (field string, count int) {
	for _, candidate := range []struct {
		name  string
		count int
	}{
		{"bool_contents", len(contents.GetBoolContents())},
		{"int_contents", len(contents.GetIntContents())},
		{"int64_contents", len(contents.GetInt64Contents())},
		{"uint_contents", len(contents.GetUintContents())},
		{"uint64_contents", len(contents.GetUint64Contents())},
		{"fp32_contents", len(contents.GetFp32Contents())},
		{"fp64_contents", len(contents.GetFp64Contents())},
		{"bytes_contents", len(contents.GetBytesContents())},
	} {
		if candidate.count == 0 {
			continue
		}
		if field != "" {
			return "several fields", 0
		}
		field, count = candidate.name, candidate.count
	}
	return field, count
}

func encode(datatype string, contents *inference.InferTensorContents) ([]byte, error) {
	switch datatype {
	case "BOOL":
		raw := make([]byte, len(contents.GetBoolContents()))
		for i, value := range contents.GetBoolContents() {
			if value {
				raw[i] = 1
			}
		}
		return raw, nil
	case "INT8":
		return narrow(contents.GetIntContents(), math.MinInt8, math.MaxInt8, func(raw []byte, value int32) []byte {
			return append(raw, byte(value))
		})
	case "INT16":
		return narrow(contents.GetIntContents(), math.MinInt16, math.MaxInt16, func(raw []byte, value int32) []byte {
			return binary.LittleEndian.AppendUint16(raw, uint16(value))
		})
	case "UINT8":
		return narrow(contents.GetUintContents(), 0, math.MaxUint8, func(raw []byte, value uint32) []byte {
			return append(raw, byte(value))
		})
	case "UINT16":
		return narrow(contents.GetUintContents(), 0, math.MaxUint16, func(raw []byte, value uint32) []byte {
			return binary.LittleEndian.AppendUint16(raw, uint16(value))
		})
	case "INT32":
		return appendAll(contents.GetIntContents())
	case "INT64":
		return appendAll(contents.GetInt64Contents())
	case "UINT32":
		return appendAll(contents.GetUintContents())
	case "UINT64":
		return appendAll(contents.GetUint64Contents())
	case "FP32":
		return appendAll(contents.GetFp32Contents())
	case "FP64":
		return appendAll(contents.GetFp64Contents())
	}
	return encodeBytes(contents.GetBytesContents())
}

// narrow encodes values of a datatype that is smaller than the field that carries it.
func narrow[T int32 | uint32](values []T, least, most T, put func([]byte, T) []byte) ([]byte, error) {
	raw := make([]byte, 0, 2*len(values))
	for i, value := range values {
		if value < least || value > most {
			return nil, fmt.Errorf("%w: element %d is %d, out of the range %d to %d", ErrTensor, i, value, least, most)
		}
		raw = put(raw, value)
	}
	return raw, nil
}

func appendAll(values any) ([]byte, error) {
	raw, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", values, err)
	}
	return raw, nil
}

func encodeBytes(values [][]byte) ([]byte, error) {
	length := 0
	for _, value := range values {
		length += bytesHeader + len(value)
	}
	raw := make([]byte, 0, length)
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(value)))
		raw = append(raw, value...)
	}
	return raw, nil
}
