package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

// stream opens a stream and sends requests on it.
func (f *fixture) stream(
	t *testing.T, ctx context.Context, requests ...*inference.ModelInferRequest,
) inference.GRPCInferenceService_ModelStreamInferClient {
	t.Helper()
	stream, err := f.ModelStreamInfer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
	}
	return stream
}

// More requests than run at once are answered, each by its own answer and in order, also where the first is the slowest.
func TestStreamAnswersInOrder(t *testing.T) {
	f := startWith(t, "default", func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		if call.Request.GetId() == "0" {
			time.Sleep(20 * time.Millisecond)
		}
		return functiontest.Simple(call)
	})
	const count = 3 * MaxStreamed
	var requests []*inference.ModelInferRequest
	for i := range count {
		request := functiontest.Request(1, int32(i))
		request.Id = fmt.Sprint(i)
		request.Parameters = map[string]*inference.InferParameter{
			emptyFinalParameter: {ParameterChoice: &inference.InferParameter_BoolParam{BoolParam: true}},
		}
		requests = append(requests, request)
	}
	stream := f.stream(t, t.Context())
	go func() {
		for _, request := range requests {
			if err := stream.Send(request); err != nil {
				t.Error(err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
	}()
	for i := range count {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		response := answer.GetInferResponse()
		functiontest.CheckSum(t, response, 1, int32(i))
		if answer.GetErrorMessage() != "" || response.GetId() != fmt.Sprint(i) || !response.GetParameters()["triton_final_response"].GetBoolParam() {
			t.Errorf("answer %d: id %q, error %q, parameters %v", i, response.GetId(), answer.GetErrorMessage(), response.GetParameters())
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
}

func TestStreamErrors(t *testing.T) {
	f := start(t, "default")
	wrong, right := functiontest.Request(1, 0), functiontest.Request(1, 0)
	wrong.Id, wrong.ModelName = "wrong", "absent"
	stream := f.stream(t, t.Context(), wrong, right)
	answer, err := stream.Recv()
	if err != nil || answer.GetErrorMessage() == "" || answer.GetInferResponse().GetId() != "wrong" {
		t.Errorf("answer to the wrong request: %v, %v", answer, err)
	}
	if answer, err = stream.Recv(); err != nil || answer.GetErrorMessage() != "" {
		t.Errorf("answer to the right one behind it: %v, %v", answer, err)
	}

	stream = f.stream(t, as(t, "triton_grpc_error", "true"), wrong)
	if answer, err = stream.Recv(); status.Code(err) != codes.NotFound {
		t.Errorf("with a status asked for: %v, %v", answer, err)
	}
}

// startEndless starts a gateway whose function takes one request, and ends it when it is broken off.
func startEndless(t *testing.T) (f *fixture, begun, ended <-chan struct{}) {
	t.Helper()
	began, broken := make(chan struct{}), make(chan struct{})
	f = startWith(t, "default", func(call functiontest.Call) (*inference.ModelInferResponse, error) {
		close(began)
		<-call.Context.Done()
		close(broken)
		return nil, call.Context.Err()
	})
	return f, began, broken
}

// What a client that is gone had sent is broken off in the function.
func TestStreamIsCancelled(t *testing.T) {
	f, begun, ended := startEndless(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := f.stream(t, ctx, functiontest.Request(1, 0))
	<-begun
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the function goes on")
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

func TestRepositoryIndex(t *testing.T) {
	f := start(t, "default")
	for _, ready := range []bool{false, true} {
		index, err := f.RepositoryIndex(t.Context(), &inference.RepositoryIndexRequest{Ready: ready})
		if err != nil || len(index.GetModels()) != 1 || index.GetModels()[0].GetName() != "simple" ||
			index.GetModels()[0].GetVersion() != "2" || index.GetModels()[0].GetState() != "READY" {
			t.Errorf("index of the default tenant: %v, %v", index, err)
		}
	}
	if _, text := f.exchange(t, "POST", "/v2/repository/index", []byte("{}")); string(text) != `[{"name":"simple","reason":"","state":"READY","version":"2"}]` {
		t.Errorf("over HTTP: %s", text)
	}
	if response, text := f.exchange(t, "POST", "/v2/repository/index", []byte(`{"ready":1}`)); response.StatusCode != 400 {
		t.Errorf("a wrong body: %s %s", response.Status, text)
	}
}
