// Package functiontest serves Open Inference Protocol v2 in tests, as a function's Instance does.
package functiontest

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// Call is one ModelInfer that a Function got.
type Call struct {
	Context  context.Context
	Request  *inference.ModelInferRequest
	Metadata metadata.MD
}

// Function is a function server. The zero value is Triton's `simple`: OUTPUT0 is the sum of INPUT0 and INPUT1, OUTPUT1
// their difference, INT32 of any shape.
type Function struct {
	inference.UnimplementedGRPCInferenceServiceServer
	// Infer answers ModelInfer; nil stands for Simple.
	Infer func(Call) (*inference.ModelInferResponse, error)
	// Platform is what ModelMetadata tells.
	Platform string

	mu    sync.Mutex
	calls []Call
}

// Start serves f on a new unix socket until stop is called or the test ends. stop breaks off what runs.
func Start(t testing.TB, f *Function) (target string, stop func()) {
	t.Helper()
	folder, err := os.MkdirTemp("", "function") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	path := filepath.Join(folder, "function.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	inference.RegisterGRPCInferenceServiceServer(server, f)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); err != nil {
			t.Errorf("serve the function: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		server.Stop()
		<-served
	})
	t.Cleanup(stop)
	return "unix://" + path, stop
}

// Calls returns the ModelInfer calls so far.
func (f *Function) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// ModelInfer records the call and answers it.
func (f *Function) ModelInfer(ctx context.Context, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	call := Call{Context: ctx, Request: request, Metadata: md}
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.mu.Unlock()
	if f.Infer != nil {
		return f.Infer(call)
	}
	return Simple(call)
}

// ModelMetadata describes `simple`.
func (f *Function) ModelMetadata(context.Context, *inference.ModelMetadataRequest) (*inference.ModelMetadataResponse, error) {
	tensor := func(name string) *inference.ModelMetadataResponse_TensorMetadata {
		return &inference.ModelMetadataResponse_TensorMetadata{Name: name, Datatype: "INT32", Shape: []int64{-1, 16}}
	}
	return &inference.ModelMetadataResponse{
		Name: "whatever", Platform: f.Platform,
		Inputs:  []*inference.ModelMetadataResponse_TensorMetadata{tensor("INPUT0"), tensor("INPUT1")},
		Outputs: []*inference.ModelMetadataResponse_TensorMetadata{tensor("OUTPUT0"), tensor("OUTPUT1")},
	}, nil
}

// Simple adds and subtracts. Requested outputs are ignored, as a careless function would.
func Simple(call Call) (*inference.ModelInferResponse, error) {
	raw := call.Request.GetRawInputContents()
	if len(raw) != 2 || len(raw[0]) != len(raw[1]) {
		return nil, status.Error(codes.InvalidArgument, "simple needs two inputs of one shape")
	}
	sum, difference := make([]byte, len(raw[0])), make([]byte, len(raw[0]))
	for at := 0; at < len(sum); at += 4 {
		a, b := binary.LittleEndian.Uint32(raw[0][at:]), binary.LittleEndian.Uint32(raw[1][at:])
		binary.LittleEndian.PutUint32(sum[at:], a+b)
		binary.LittleEndian.PutUint32(difference[at:], a-b)
	}
	shape := call.Request.GetInputs()[0].GetShape()
	return &inference.ModelInferResponse{
		ModelName: "whatever",
		Outputs: []*inference.ModelInferResponse_InferOutputTensor{
			{Name: "OUTPUT0", Datatype: "INT32", Shape: shape},
			{Name: "OUTPUT1", Datatype: "INT32", Shape: shape},
		},
		RawOutputContents: [][]byte{sum, difference},
	}, nil
}

// Request makes a request for `simple` of so many rows of 16, whose elements are first, first+1 and so on, and ones.
func Request(rows int, first int32) *inference.ModelInferRequest {
	input0, input1 := make([]byte, 0, rows*64), make([]byte, 0, rows*64)
	for i := range rows * 16 {
		input0 = binary.LittleEndian.AppendUint32(input0, uint32(first)+uint32(i))
		input1 = binary.LittleEndian.AppendUint32(input1, 1)
	}
	shape := []int64{int64(rows), 16}
	return &inference.ModelInferRequest{
		ModelName: "simple",
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "INPUT0", Datatype: "INT32", Shape: shape},
			{Name: "INPUT1", Datatype: "INT32", Shape: shape},
		},
		RawInputContents: [][]byte{input0, input1},
	}
}

// CheckSum fails the test where response is not the answer to Request(rows, first).
func CheckSum(t testing.TB, response *inference.ModelInferResponse, rows int, first int32) {
	t.Helper()
	if len(response.GetRawOutputContents()) != 2 || len(response.GetRawOutputContents()[0]) != rows*64 {
		t.Errorf("answer %v does not hold 2 outputs of %d rows", response, rows)
		return
	}
	if shape := response.GetOutputs()[0].GetShape(); len(shape) != 2 || shape[0] != int64(rows) || shape[1] != 16 {
		t.Errorf("OUTPUT0 has shape %v, want [%d 16]", shape, rows)
	}
	for i := range rows * 16 {
		sum := int32(binary.LittleEndian.Uint32(response.GetRawOutputContents()[0][4*i:]))
		difference := int32(binary.LittleEndian.Uint32(response.GetRawOutputContents()[1][4*i:]))
		if want := first + int32(i); sum != want+1 || difference != want-1 {
			t.Errorf("element %d is %d and %d, want %d and %d", i, sum, difference, want+1, want-1)
			return
		}
	}
}
