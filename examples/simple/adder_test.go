package main

import (
	"context"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/function"
	"sluice/proto/gen/inference"
)

// noticed bounds loading the model; reaching it fails the test.
const noticed = time.Minute

// serve runs the function on a socket and returns a client once it is ready.
func serve(t *testing.T) inference.GRPCInferenceServiceClient {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.sock")
	server, err := function.NewServer(&adder{}, function.Config{
		Function: "simple", Network: "unix", Address: path, DrainTimeout: noticed, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	connection, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = connection.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the function ended with %v", err)
		}
	})
	client := inference.NewGRPCInferenceServiceClient(connection)
	waiting, cancel := context.WithTimeout(ctx, noticed)
	defer cancel()
	for {
		ready, err := client.ServerReady(waiting, &inference.ServerReadyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if ready.GetReady() {
			return client
		}
	}
}

// request asks for first and second, of rows times 16 elements.
func request(first, second []int32) *inference.ModelInferRequest {
	shape := []int64{int64(len(first) / vectorSize), vectorSize}
	return &inference.ModelInferRequest{
		ModelName: "simple",
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "INPUT0", Datatype: "INT32", Shape: shape},
			{Name: "INPUT1", Datatype: "INT32", Shape: shape},
		},
		RawInputContents: [][]byte{
			function.Int32Tensor("", shape, first).Data,
			function.Int32Tensor("", shape, second).Data,
		},
	}
}

func TestSumAndDifference(t *testing.T) {
	client := serve(t)
	for _, rows := range []int{1, 3, maxBatch} {
		var first, second, sum, difference []int32
		for i := range int32(rows * vectorSize) {
			first, second = append(first, math.MaxInt32-8+i), append(second, i*i)
			sum, difference = append(sum, first[i]+second[i]), append(difference, first[i]-second[i])
		}
		response, err := client.ModelInfer(t.Context(), request(first, second))
		if err != nil {
			t.Fatal(err)
		}
		outputs := response.GetOutputs()
		if outputs[0].GetName() != "OUTPUT0" || outputs[1].GetName() != "OUTPUT1" ||
			!slices.Equal(outputs[0].GetShape(), []int64{int64(rows), vectorSize}) {
			t.Fatalf("outputs are %v", outputs)
		}
		for i, want := range [][]int32{sum, difference} {
			if !slices.Equal(response.GetRawOutputContents()[i], function.Int32Tensor("", nil, want).Data) {
				t.Errorf("%d rows: %s is wrong", rows, outputs[i].GetName())
			}
		}
	}
}

func TestBatchLimit(t *testing.T) {
	values := make([]int32, (maxBatch+1)*vectorSize)
	if _, err := serve(t).ModelInfer(t.Context(), request(values, values)); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a batch of %d: %v", maxBatch+1, err)
	}
}
