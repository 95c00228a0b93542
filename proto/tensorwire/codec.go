// Package tensorwire is the codec of the inference protocol's messages that carry tensors. It writes and reads what
// Protocol Buffers' own codec does, but copies the bytes of tensors once when it reads a message and not at all when it
// writes one, and makes fewer objects. Every other message it leaves to that codec.
package tensorwire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"sluice/proto/gen/inference"
)

// Codec is an encoding.CodecV2 for both ends of a connection: grpc.ForceServerCodecV2, grpc.ForceCodecV2.
//
// Tensors of a message that it has read share memory with each other, and a message that it has written shares the
// memory of its tensors until it is sent: neither may be changed.
type Codec struct{}

var _ encoding.CodecV2 = Codec{}

// rest is the codec of all other messages.
var rest = encoding.GetCodecV2(proto.Name)

// Name is that of the codec that it stands for: on the wire there is no difference.
func (Codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(message any) (mem.BufferSlice, error) {
	var layout layout
	switch message := message.(type) {
	case *inference.ModelInferRequest:
		layout = requestLayout(message)
	case *inference.ModelInferResponse:
		layout = responseLayout(message)
	default:
		return rest.Marshal(message)
	}
	data, err := layout.encode()
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", message, err)
	}
	return data, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, message any) error {
	var err error
	switch message := message.(type) {
	case *inference.ModelInferRequest:
		err = decodeRequest(data.Materialize(), message)
	case *inference.ModelInferResponse:
		err = decodeResponse(data.Materialize(), message)
	default:
		return rest.Unmarshal(data, message)
	}
	if err != nil {
		return fmt.Errorf("decode %T: %w", message, err)
	}
	return nil
}

// Numbers of the fields that both messages have, and of a tensor's.
const (
	fieldModelName    = 1
	fieldModelVersion = 2
	fieldID           = 3
	fieldTensors      = 5 // the request's inputs, the response's outputs

	fieldRequestRaw  = 7
	fieldResponseRaw = 6

	fieldTensorName     = 1
	fieldTensorDatatype = 2
	fieldTensorShape    = 3
)
