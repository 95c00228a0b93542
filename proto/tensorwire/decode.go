package tensorwire

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

var errUTF8 = errors.New("a string field holds invalid UTF-8")

// field is one field of a message as it lies on the wire.
type field struct {
	number protowire.Number
	kind   protowire.Type
	whole  []byte // tag and value
	bytes  []byte // of a field of kind BytesType
}

// next takes the first field off data.
func next(data []byte) (f field, rest []byte, err error) {
	number, kind, tag := protowire.ConsumeTag(data)
	if tag < 0 {
		return f, nil, protowire.ParseError(tag)
	}
	f = field{number: number, kind: kind}
	length := 0
	if kind == protowire.BytesType {
		f.bytes, length = protowire.ConsumeBytes(data[tag:])
	} else {
		length = protowire.ConsumeFieldValue(number, kind, data[tag:])
	}
	if length < 0 {
		return f, nil, protowire.ParseError(length)
	}
	f.whole = data[:tag+length]
	return f, data[tag+length:], nil
}

// head is what both messages begin with.
type head struct{ modelName, modelVersion, id *string }

// counts is how many tensors and raw contents a message has.
type counts struct{ tensors, raw int }

// scan counts, so that the message's lists are made at once.
func scan(data []byte, rawField protowire.Number) (c counts, err error) {
	for len(data) > 0 {
		var f field
		if f, data, err = next(data); err != nil {
			return c, err
		}
		switch {
		case f.kind != protowire.BytesType:
		case f.number == fieldTensors:
			c.tensors++
		case f.number == rawField:
			c.raw++
		}
	}
	return c, nil
}

// decode reads a message's head, hands its tensors to tensor and gives its raw contents. slow are the fields that are
// left to Protocol Buffers' own codec; that they are read after the others makes no difference, since fields of
// different numbers may come in any order.
func decode(data []byte, rawField protowire.Number, h head, c counts, tensor func([]byte) error) (raw [][]byte, slow []byte, err error) {
	if c.raw > 0 {
		raw = make([][]byte, 0, c.raw)
	}
	for len(data) > 0 {
		var f field
		if f, data, err = next(data); err != nil {
			return nil, nil, err
		}
		switch {
		case f.kind != protowire.BytesType:
			slow = append(slow, f.whole...)
		case f.number == fieldModelName:
			err = text(h.modelName, f.bytes)
		case f.number == fieldModelVersion:
			err = text(h.modelVersion, f.bytes)
		case f.number == fieldID:
			err = text(h.id, f.bytes)
		case f.number == fieldTensors:
			err = tensor(f.bytes)
		case f.number == rawField:
			raw = append(raw, f.bytes[:len(f.bytes):len(f.bytes)])
		default:
			slow = append(slow, f.whole...)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return raw, slow, nil
}

func text(to *string, value []byte) error {
	if !utf8.Valid(value) {
		return errUTF8
	}
	*to = string(value)
	return nil
}

// decodeRequest reads data, whose memory the request then shares.
func decodeRequest(data []byte, request *inference.ModelInferRequest) error {
	c, err := scan(data, fieldRequestRaw)
	if err != nil {
		return err
	}
	request.Reset()
	tensors := make([]inference.ModelInferRequest_InferInputTensor, c.tensors)
	if c.tensors > 0 {
		request.Inputs = make([]*inference.ModelInferRequest_InferInputTensor, 0, c.tensors)
	}
	h := head{&request.ModelName, &request.ModelVersion, &request.Id}
	raw, slow, err := decode(data, fieldRequestRaw, h, c, func(value []byte) error {
		tensor := &tensors[len(request.Inputs)]
		request.Inputs = append(request.Inputs, tensor)
		return decodeTensor(value, tensor, &tensor.Name, &tensor.Datatype, &tensor.Shape)
	})
	if err != nil {
		return err
	}
	request.RawInputContents = raw
	return merge(slow, request)
}

// decodeResponse reads data, whose memory the response then shares.
func decodeResponse(data []byte, response *inference.ModelInferResponse) error {
	c, err := scan(data, fieldResponseRaw)
	if err != nil {
		return err
	}
	response.Reset()
	tensors := make([]inference.ModelInferResponse_InferOutputTensor, c.tensors)
	if c.tensors > 0 {
		response.Outputs = make([]*inference.ModelInferResponse_InferOutputTensor, 0, c.tensors)
	}
	h := head{&response.ModelName, &response.ModelVersion, &response.Id}
	raw, slow, err := decode(data, fieldResponseRaw, h, c, func(value []byte) error {
		tensor := &tensors[len(response.Outputs)]
		response.Outputs = append(response.Outputs, tensor)
		return decodeTensor(value, tensor, &tensor.Name, &tensor.Datatype, &tensor.Shape)
	})
	if err != nil {
		return err
	}
	response.RawOutputContents = raw
	return merge(slow, response)
}

// merge adds the fields of data to a message.
func merge(data []byte, message proto.Message) error {
	if len(data) == 0 {
		return nil
	}
	return proto.UnmarshalOptions{Merge: true}.Unmarshal(data, message)
}

// decodeTensor reads a tensor's name, datatype and shape; one with more than these is left to Protocol Buffers' own
// codec whole.
func decodeTensor(data []byte, tensor proto.Message, name, datatype *string, shape *[]int64) error {
	for left := data; len(left) > 0; {
		var f field
		var err error
		if f, left, err = next(left); err != nil {
			return err
		}
		switch {
		case f.kind != protowire.BytesType:
			return proto.Unmarshal(data, tensor)
		case f.number == fieldTensorName:
			err = text(name, f.bytes)
		case f.number == fieldTensorDatatype:
			err = datatypeText(datatype, f.bytes)
		case f.number == fieldTensorShape:
			*shape, err = packed(*shape, f.bytes)
		default:
			return proto.Unmarshal(data, tensor)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// datatypes are the protocol's, which need no string of their own in each tensor.
var datatypes = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES",
	} {
		names[name] = name
	}
	return names
}()

func datatypeText(to *string, value []byte) error {
	if known, ok := datatypes[string(value)]; ok {
		*to = known
		return nil
	}
	return text(to, value)
}

// packed adds packed varints to a list.
func packed(to []int64, data []byte) ([]int64, error) {
	if to == nil && len(data) > 0 {
		count := 0
		for _, b := range data {
			if b < 0x80 {
				count++
			}
		}
		to = make([]int64, 0, count)
	}
	for len(data) > 0 {
		value, length := protowire.ConsumeVarint(data)
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		to, data = append(to, int64(value)), data[length:]
	}
	return to, nil
}
