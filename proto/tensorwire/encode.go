package tensorwire

import (
	"unicode/utf8"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

// sharedMin is from how many bytes on a tensor is not copied: a smaller one costs less in one piece with the rest.
const sharedMin = 4 << 10

// layout is a message to be written: what Protocol Buffers' own codec writes of it, then the tensors' raw contents.
type layout struct {
	head     [3]string // in the order of their field numbers, from 1
	tensors  []tensor
	slow     proto.Message // the fields that are left to Protocol Buffers' own codec, or nil
	raw      [][]byte
	rawField protowire.Number
}

// tensor is an element of a message's tensors.
type tensor struct {
	name, datatype string
	shape          []int64
	slow           proto.Message // the whole tensor where it has more than the above, or nil
}

func requestLayout(request *inference.ModelInferRequest) layout {
	l := layout{
		head: [3]string{request.GetModelName(), request.GetModelVersion(), request.GetId()},
		raw:  request.GetRawInputContents(), rawField: fieldRequestRaw, tensors: make([]tensor, len(request.GetInputs())),
	}
	for i, input := range request.GetInputs() {
		l.tensors[i] = tensor{name: input.GetName(), datatype: input.GetDatatype(), shape: input.GetShape()}
		if input.GetParameters() != nil || input.GetContents() != nil || hasUnknown(input) {
			l.tensors[i].slow = input
		}
	}
	if request.GetParameters() != nil || len(request.GetOutputs()) > 0 || hasUnknown(request) {
		rest := &inference.ModelInferRequest{Parameters: request.GetParameters(), Outputs: request.GetOutputs()}
		rest.ProtoReflect().SetUnknown(request.ProtoReflect().GetUnknown())
		l.slow = rest
	}
	return l
}

func responseLayout(response *inference.ModelInferResponse) layout {
	l := layout{
		head: [3]string{response.GetModelName(), response.GetModelVersion(), response.GetId()},
		raw:  response.GetRawOutputContents(), rawField: fieldResponseRaw, tensors: make([]tensor, len(response.GetOutputs())),
	}
	for i, output := range response.GetOutputs() {
		l.tensors[i] = tensor{name: output.GetName(), datatype: output.GetDatatype(), shape: output.GetShape()}
		if output.GetParameters() != nil || output.GetContents() != nil || hasUnknown(output) {
			l.tensors[i].slow = output
		}
	}
	if response.GetParameters() != nil || hasUnknown(response) {
		rest := &inference.ModelInferResponse{Parameters: response.GetParameters()}
		rest.ProtoReflect().SetUnknown(response.ProtoReflect().GetUnknown())
		l.slow = rest
	}
	return l
}

func hasUnknown(message proto.Message) bool { return len(message.ProtoReflect().GetUnknown()) > 0 }

// encode writes the message in as few pieces as sharing large tensors takes.
func (l *layout) encode() (mem.BufferSlice, error) {
	data := make([]byte, 0, l.sizeBound())
	var err error
	for i, value := range l.head {
		if data, err = appendText(data, protowire.Number(i+1), value); err != nil {
			return nil, err
		}
	}
	for i := range l.tensors {
		if data, err = l.tensors[i].append(data); err != nil {
			return nil, err
		}
	}
	if l.slow != nil {
		if data, err = (proto.MarshalOptions{}).MarshalAppend(data, l.slow); err != nil {
			return nil, err
		}
	}
	var pieces mem.BufferSlice
	for _, raw := range l.raw {
		data = protowire.AppendTag(data, l.rawField, protowire.BytesType)
		data = protowire.AppendVarint(data, uint64(len(raw)))
		if len(raw) < sharedMin {
			data = append(data, raw...)
			continue
		}
		pieces = append(pieces, mem.SliceBuffer(data), mem.SliceBuffer(raw))
		data = data[len(data):]
	}
	if len(data) > 0 {
		pieces = append(pieces, mem.SliceBuffer(data))
	}
	return pieces, nil
}

// sizeBound is at least the bytes that are not shared, but for those that Protocol Buffers' own codec adds.
func (l *layout) sizeBound() int {
	const tagAndLength = 1 + 10 // all field numbers are below 16
	size := 0
	for _, value := range l.head {
		size += tagAndLength + len(value)
	}
	for _, t := range l.tensors {
		size += 4*tagAndLength + len(t.name) + len(t.datatype) + 10*len(t.shape)
	}
	for _, raw := range l.raw {
		size += tagAndLength
		if len(raw) < sharedMin {
			size += len(raw)
		}
	}
	return size
}

func appendText(data []byte, number protowire.Number, value string) ([]byte, error) {
	if value == "" {
		return data, nil
	}
	if !utf8.ValidString(value) {
		return nil, errUTF8
	}
	return protowire.AppendString(protowire.AppendTag(data, number, protowire.BytesType), value), nil
}

func (t *tensor) append(data []byte) ([]byte, error) {
	data = protowire.AppendTag(data, fieldTensors, protowire.BytesType)
	if t.slow != nil {
		whole, err := proto.Marshal(t.slow)
		return protowire.AppendBytes(data, whole), err
	}
	shape := 0
	for _, dimension := range t.shape {
		shape += protowire.SizeVarint(uint64(dimension))
	}
	size := textSize(t.name) + textSize(t.datatype)
	if shape > 0 {
		size += 1 + protowire.SizeBytes(shape)
	}
	data = protowire.AppendVarint(data, uint64(size))
	data, err := appendText(data, fieldTensorName, t.name)
	if err != nil {
		return nil, err
	}
	if data, err = appendText(data, fieldTensorDatatype, t.datatype); err != nil || shape == 0 {
		return data, err
	}
	data = protowire.AppendTag(data, fieldTensorShape, protowire.BytesType)
	data = protowire.AppendVarint(data, uint64(shape))
	for _, dimension := range t.shape {
		data = protowire.AppendVarint(data, uint64(dimension))
	}
	return data, nil
}

// textSize is what appendText adds.
func textSize(value string) int {
	if value == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(value))
}
