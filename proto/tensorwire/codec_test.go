package tensorwire

import (
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

func int64Parameter(value int64) map[string]*inference.InferParameter {
	return map[string]*inference.InferParameter{
		"timeout": {ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: value}},
	}
}

// messages are of every form that the codec tells apart.
func messages() map[string]proto.Message {
	large := make([]byte, 3*sharedMin)
	large[0], large[len(large)-1] = 1, 2
	tensors := []*inference.ModelInferRequest_InferInputTensor{
		{Name: "A", Datatype: "FP32", Shape: []int64{1, 1024, 3}},
		{Name: "B", Datatype: "of a kind of its own", Shape: []int64{-1}},
		{},
	}
	unknown := &inference.ModelInferRequest{ModelName: "m"}
	unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 7))
	return map[string]proto.Message{
		"empty request":  &inference.ModelInferRequest{},
		"empty response": &inference.ModelInferResponse{},
		"raw": &inference.ModelInferRequest{
			ModelName: "m", ModelVersion: "3", Id: "x", Inputs: tensors, RawInputContents: [][]byte{large, {}, {1, 2, 3}},
		},
		"two large": &inference.ModelInferRequest{Inputs: tensors[:2], RawInputContents: [][]byte{large, large}},
		"parameters and outputs": &inference.ModelInferRequest{
			Parameters: int64Parameter(5), Inputs: tensors,
			Outputs: []*inference.ModelInferRequest_InferRequestedOutputTensor{{Name: "O", Parameters: int64Parameter(6)}},
		},
		"typed contents": &inference.ModelInferRequest{Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "A", Datatype: "INT32", Shape: []int64{2}, Contents: &inference.InferTensorContents{IntContents: []int32{1, -2}}},
			{Name: "B", Datatype: "FP32", Shape: []int64{1}, Parameters: int64Parameter(-1)},
		}},
		"unknown field": unknown,
		"response": &inference.ModelInferResponse{
			ModelName: "m", ModelVersion: "3", Id: "x", Parameters: int64Parameter(1),
			Outputs: []*inference.ModelInferResponse_InferOutputTensor{
				{Name: "A", Datatype: "BOOL", Shape: []int64{8, 1 << 40}},
				{Name: "B", Datatype: "BYTES", Shape: []int64{1}, Contents: &inference.InferTensorContents{BytesContents: [][]byte{{9}}}},
			},
			RawOutputContents: [][]byte{{1}, large},
		},
	}
}

func empty(of proto.Message) proto.Message { return of.ProtoReflect().New().Interface() }

// What one of the codecs writes, the other reads.
func TestSameAsProtocolBuffers(t *testing.T) {
	for name, message := range messages() {
		t.Run(name, func(t *testing.T) {
			ours, err := Codec{}.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			theirs, read := empty(message), empty(message)
			if err := proto.Unmarshal(ours.Materialize(), theirs); err != nil || !proto.Equal(theirs, message) {
				t.Errorf("what was written reads as %v, %v", theirs, err)
			}
			data, err := proto.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, read); err != nil || !proto.Equal(read, message) {
				t.Errorf("read %v, %v", read, err)
			}
		})
	}
}

// A message in pieces is read as one in one piece, and what it held before is gone.
func TestReadInPieces(t *testing.T) {
	for name, message := range messages() {
		data, err := proto.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		var pieces mem.BufferSlice
		for ; len(data) > 5; data = data[5:] {
			pieces = append(pieces, mem.SliceBuffer(data[:5]))
		}
		pieces = append(pieces, mem.SliceBuffer(data))
		read := empty(message)
		if request, ok := read.(*inference.ModelInferRequest); ok {
			request.Id, request.RawInputContents = "before", [][]byte{{1}}
		}
		if err := (Codec{}).Unmarshal(pieces, read); err != nil || !proto.Equal(read, message) {
			t.Errorf("%s: read %v, %v", name, read, err)
		}
	}
}

// A large tensor is written from where it lies.
func TestLargeTensorsAreShared(t *testing.T) {
	raw := make([]byte, sharedMin)
	data, err := Codec{}.Marshal(&inference.ModelInferRequest{RawInputContents: [][]byte{{1}, raw, {2}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range data {
		if bytes := piece.ReadOnlyData(); len(bytes) == len(raw) && &bytes[0] == &raw[0] {
			return
		}
	}
	t.Errorf("none of %d pieces is the tensor", len(data))
}

// Strings that are no UTF-8 are refused in both directions, as proto3 demands.
func TestInvalidUTF8(t *testing.T) {
	const bad = "\xff"
	for _, message := range []proto.Message{
		&inference.ModelInferRequest{Id: bad},
		&inference.ModelInferResponse{Outputs: []*inference.ModelInferResponse_InferOutputTensor{{Datatype: bad}}},
	} {
		if _, err := (Codec{}).Marshal(message); err == nil {
			t.Errorf("%T is written", message)
		}
	}
	data := protowire.AppendString(protowire.AppendTag(nil, fieldID, protowire.BytesType), bad)
	if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, new(inference.ModelInferRequest)); err == nil {
		t.Error("it is read")
	}
}

// FuzzUnmarshal reads any bytes as Protocol Buffers' own codec does, or refuses them as it does.
func FuzzUnmarshal(f *testing.F) {
	for _, message := range messages() {
		data, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, of := range []proto.Message{new(inference.ModelInferRequest), new(inference.ModelInferResponse)} {
			ours, theirs := empty(of), empty(of)
			err, expected := Codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, ours), proto.Unmarshal(data, theirs)
			if (err == nil) != (expected == nil) {
				t.Fatalf("%T: %v, want %v", of, err, expected)
			}
			if err == nil && !proto.Equal(ours, theirs) {
				t.Fatalf("%T: %v, want %v", of, ours, theirs)
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	request := &inference.ModelInferRequest{ModelName: "simple", Id: "0123456789abcdef"}
	for _, name := range []string{"INPUT0", "INPUT1"} {
		request.Inputs = append(request.Inputs, &inference.ModelInferRequest_InferInputTensor{
			Name: name, Datatype: "INT32", Shape: []int64{1, 16},
		})
		request.RawInputContents = append(request.RawInputContents, make([]byte, 64))
	}
	for _, c := range []struct {
		name  string
		codec interface {
			Marshal(any) (mem.BufferSlice, error)
			Unmarshal(mem.BufferSlice, any) error
		}
	}{{"tensorwire", Codec{}}, {"proto", rest}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data, err := c.codec.Marshal(request)
				if err != nil {
					b.Fatal(err)
				}
				if err := c.codec.Unmarshal(data, new(inference.ModelInferRequest)); err != nil {
					b.Fatal(err)
				}
				data.Free()
			}
		})
	}
}
