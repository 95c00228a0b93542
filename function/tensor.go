package function

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Datatype names the type of a tensor's elements, as the protocol does.
type Datatype string

// The protocol's datatypes (Open Inference Protocol v2, "Tensor Data Types").
const (
	BOOL   Datatype = "BOOL"
	UINT8  Datatype = "UINT8"
	UINT16 Datatype = "UINT16"
	UINT32 Datatype = "UINT32"
	UINT64 Datatype = "UINT64"
	INT8   Datatype = "INT8"
	INT16  Datatype = "INT16"
	INT32  Datatype = "INT32"
	INT64  Datatype = "INT64"
	FP16   Datatype = "FP16"
	BF16   Datatype = "BF16"
	FP32   Datatype = "FP32"
	FP64   Datatype = "FP64"
	BYTES  Datatype = "BYTES"
)

// bytesLengthBytes is the size of the length before each BYTES element.
const bytesLengthBytes = 4

// datatypeBytes holds each datatype's bytes per element; an element of BYTES has no fixed size.
var datatypeBytes = map[Datatype]int{
	BOOL: 1, UINT8: 1, UINT16: 2, UINT32: 4, UINT64: 8, INT8: 1, INT16: 2, INT32: 4, INT64: 8,
	FP16: 2, BF16: 2, FP32: 4, FP64: 8, BYTES: 0,
}

// Tensor is one named array.
type Tensor struct {
	Name     string
	Datatype Datatype
	// Shape holds each dimension's size.
	Shape []int64
	// Data holds the elements, little-endian, row-major, without padding. An element of
	// BYTES is a 4-byte length and its data.
	Data []byte
}

// Tensors are the inputs or the outputs of one inference.
type Tensors []Tensor

// Tensor returns the tensor of that name.
func (t Tensors) Tensor(name string) (Tensor, error) {
	for _, tensor := range t {
		if tensor.Name == name {
			return tensor, nil
		}
	}
	return Tensor{}, fmt.Errorf("tensor %q: there is none of this name", name)
}

// Int32s returns the elements of the INT32 tensor of that name.
func (t Tensors) Int32s(name string) ([]int32, error) {
	return elements(t, name, INT32, func(data []byte) int32 { return int32(binary.LittleEndian.Uint32(data)) })
}

// Int64s returns the elements of the INT64 tensor of that name.
func (t Tensors) Int64s(name string) ([]int64, error) {
	return elements(t, name, INT64, func(data []byte) int64 { return int64(binary.LittleEndian.Uint64(data)) })
}

// Float32s returns the elements of the FP32 tensor of that name.
func (t Tensors) Float32s(name string) ([]float32, error) {
	return elements(t, name, FP32, func(data []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(data)) })
}

func elements[T any](tensors Tensors, name string, datatype Datatype, decode func([]byte) T) ([]T, error) {
	tensor, err := tensors.Tensor(name)
	if err != nil {
		return nil, err
	}
	if tensor.Datatype != datatype {
		return nil, fmt.Errorf("tensor %q: is %s, not %s", name, tensor.Datatype, datatype)
	}
	if err := tensor.checkData(); err != nil {
		return nil, err
	}
	size := datatypeBytes[datatype]
	values := make([]T, len(tensor.Data)/size)
	for i := range values {
		values[i] = decode(tensor.Data[i*size:])
	}
	return values, nil
}

// Int32Tensor makes an INT32 tensor.
func Int32Tensor(name string, shape []int64, values []int32) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, uint32(value))
	}
	return Tensor{Name: name, Datatype: INT32, Shape: shape, Data: data}
}

// Int64Tensor makes an INT64 tensor.
func Int64Tensor(name string, shape []int64, values []int64) Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(value))
	}
	return Tensor{Name: name, Datatype: INT64, Shape: shape, Data: data}
}

// Float32Tensor makes an FP32 tensor.
func Float32Tensor(name string, shape []int64, values []float32) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	return Tensor{Name: name, Datatype: FP32, Shape: shape, Data: data}
}

// elementCount multiplies the sizes of a shape. No element has less than one byte in a
// message, so a count above the largest message is refused, and none can overflow.
func elementCount(shape []int64) (int, error) {
	count := int64(1)
	for _, size := range shape {
		if size < 1 {
			return 0, fmt.Errorf("shape %v has a size below 1", shape)
		}
		if size > MaxMessageBytes/count {
			return 0, fmt.Errorf("shape %v has more elements than %d", shape, MaxMessageBytes)
		}
		count *= size
	}
	return int(count), nil
}

// checkData says whether the data holds just the elements that the shape promises.
func (t Tensor) checkData() error {
	count, err := elementCount(t.Shape)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if t.Datatype == BYTES {
		return t.checkBytesElements(count)
	}
	if want := count * datatypeBytes[t.Datatype]; len(t.Data) != want {
		return fmt.Errorf("tensor %q: has %d bytes of data, %s with shape %v needs %d", t.Name, len(t.Data), t.Datatype, t.Shape, want)
	}
	return nil
}

func (t Tensor) checkBytesElements(count int) error {
	rest := t.Data
	for i := range count {
		if len(rest) < bytesLengthBytes {
			return fmt.Errorf("tensor %q: data ends within the length of element %d of %d", t.Name, i, count)
		}
		length := binary.LittleEndian.Uint32(rest)
		rest = rest[bytesLengthBytes:]
		if uint64(length) > uint64(len(rest)) {
			return fmt.Errorf("tensor %q: element %d says %d bytes, %d are left", t.Name, i, length, len(rest))
		}
		rest = rest[length:]
	}
	if len(rest) != 0 {
		return fmt.Errorf("tensor %q: %d bytes follow the last of %d elements", t.Name, len(rest), count)
	}
	return nil
}
