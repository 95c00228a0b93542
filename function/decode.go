package function

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"sluice/proto/gen/inference"
)

// decodeRequest takes the inputs from a request, in the signature's order, and checks
// each against the signature: names, datatypes, shapes, amounts of data, one batch size.
// The inputs may share the request's memory.
func (s Signature) decodeRequest(request *inference.ModelInferRequest) (Tensors, error) {
	raw := request.GetRawInputContents()
	if len(raw) > 0 && len(raw) != len(request.GetInputs()) {
		return nil, fmt.Errorf("raw_input_contents: has %d entries for %d inputs", len(raw), len(request.GetInputs()))
	}
	given := make(map[string]Tensor, len(s.Inputs))
	for i, input := range request.GetInputs() {
		spec, err := specOf(s.Inputs, input.GetName())
		if err != nil {
			return nil, fmt.Errorf("inputs[%d]: %w", i, err)
		}
		if _, twice := given[spec.Name]; twice {
			return nil, fmt.Errorf("inputs[%d]: input %q is given twice", i, spec.Name)
		}
		tensor := Tensor{Name: spec.Name, Datatype: Datatype(input.GetDatatype()), Shape: input.GetShape()}
		if err := s.checkTensor(spec, tensor); err != nil {
			return nil, err
		}
		if len(raw) > 0 {
			if input.GetContents() != nil {
				return nil, fmt.Errorf("input %q: has contents beside the request's raw_input_contents", spec.Name)
			}
			tensor.Data = raw[i]
		} else if tensor.Data, err = encodeContents(spec, input.GetContents()); err != nil {
			return nil, err
		}
		if err := tensor.checkData(); err != nil {
			return nil, err
		}
		given[spec.Name] = tensor
	}
	inputs := make(Tensors, 0, len(s.Inputs))
	for _, spec := range s.Inputs {
		tensor, found := given[spec.Name]
		if !found {
			return nil, fmt.Errorf("input %q is missing", spec.Name)
		}
		inputs = append(inputs, tensor)
	}
	return inputs, s.checkBatch(inputs)
}

// specOf finds a tensor's declaration.
func specOf(specs []TensorSpec, name string) (TensorSpec, error) {
	names := make([]string, 0, len(specs))
	for _, spec := range specs {
		if spec.Name == name {
			return spec, nil
		}
		names = append(names, spec.Name)
	}
	return TensorSpec{}, fmt.Errorf("no tensor is named %.64q, want one of %q", name, names)
}

// checkTensor compares a tensor's datatype and shape with its declaration.
func (s Signature) checkTensor(spec TensorSpec, tensor Tensor) error {
	if tensor.Datatype != spec.Datatype {
		return fmt.Errorf("tensor %q: datatype is %.16q, want %s", spec.Name, tensor.Datatype, spec.Datatype)
	}
	if len(tensor.Shape) != len(spec.Shape) {
		return fmt.Errorf("tensor %q: shape has %d dimensions, want %v", spec.Name, len(tensor.Shape), spec.Shape)
	}
	for i, size := range tensor.Shape {
		if size < 1 || spec.Shape[i] != -1 && size != spec.Shape[i] {
			return fmt.Errorf("tensor %q: shape is %v, want %v", spec.Name, tensor.Shape, spec.Shape)
		}
	}
	if s.MaxBatch > 0 && tensor.Shape[0] > int64(s.MaxBatch) {
		return fmt.Errorf("tensor %q: batch size is %d, limit %d", spec.Name, tensor.Shape[0], s.MaxBatch)
	}
	return nil
}

// checkBatch says whether all tensors have the same batch size.
func (s Signature) checkBatch(tensors Tensors) error {
	for _, tensor := range tensors {
		if want := s.batch(tensors); s.batch(Tensors{tensor}) != want {
			return fmt.Errorf("tensor %q: batch size is %d, that of %q is %d", tensor.Name, tensor.Shape[0], tensors[0].Name, want)
		}
	}
	return nil
}

// batch is the batch size of tensors that fit the signature.
func (s Signature) batch(tensors Tensors) int64 {
	if s.MaxBatch == 0 {
		return 1
	}
	return tensors[0].Shape[0]
}

// encodeContents turns typed contents into bytes. Contents for another datatype than
// the declared one leave too few bytes, which checkData finds.
func encodeContents(spec TensorSpec, contents *inference.InferTensorContents) ([]byte, error) {
	switch spec.Datatype {
	case BOOL:
		data := make([]byte, len(contents.GetBoolContents()))
		for i, value := range contents.GetBoolContents() {
			if value {
				data[i] = 1
			}
		}
		return data, nil
	case INT8, INT16, INT32:
		return encodeIntegers(spec, contents.GetIntContents())
	case UINT8, UINT16, UINT32:
		return encodeIntegers(spec, contents.GetUintContents())
	case INT64:
		return encodeIntegers(spec, contents.GetInt64Contents())
	case UINT64:
		return encodeIntegers(spec, contents.GetUint64Contents())
	case FP32:
		return Float32Tensor(spec.Name, nil, contents.GetFp32Contents()).Data, nil
	case FP64:
		data := make([]byte, 0, 8*len(contents.GetFp64Contents()))
		for _, value := range contents.GetFp64Contents() {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(value))
		}
		return data, nil
	case BYTES:
		var data []byte
		for _, value := range contents.GetBytesContents() {
			data = binary.LittleEndian.AppendUint32(data, uint32(len(value)))
			data = append(data, value...)
		}
		return data, nil
	default: // FP16 and BF16 have no typed form
		return nil, fmt.Errorf("input %q: %s must be given in raw_input_contents", spec.Name, spec.Datatype)
	}
}

// encodeIntegers stores values in as many bytes as the declared datatype has.
func encodeIntegers[T int32 | int64 | uint32 | uint64](spec TensorSpec, values []T) ([]byte, error) {
	size := datatypeBytes[spec.Datatype]
	signed := slices.Contains([]Datatype{INT8, INT16, INT32, INT64}, spec.Datatype)
	data := make([]byte, 0, size*len(values))
	var word [8]byte
	for i, value := range values {
		unused := 64 - 8*size
		fits := uint64(value)<<unused>>unused == uint64(value)
		if signed {
			fits = int64(value)<<unused>>unused == int64(value)
		}
		if !fits {
			return nil, fmt.Errorf("input %q: element %d is %d, outside of %s", spec.Name, i, value, spec.Datatype)
		}
		binary.LittleEndian.PutUint64(word[:], uint64(value))
		data = append(data, word[:size]...)
	}
	return data, nil
}
