package gateway

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// streamCall is how the log names it.
const streamCall = "ModelStreamInfer"

const (
	// statusHeader set to "true" asks for a gRPC status in place of an error_message; the stream ends with it
	// (protocol/extension_generate.md and Triton's grpc README, "gRPC status codes").
	statusHeader = "triton_grpc_error"
	// finalParameter marks the last answer to a request (docs/user_guide/decoupled_models.md): here each is.
	finalParameter = "triton_final_response"
	// emptyFinalParameter asks for a last answer without tensors where the last one would be none: never, here.
	emptyFinalParameter = "triton_enable_empty_final_response"
)

// streamed is one request of a stream on its way to its answer.
type streamed struct {
	answer *inference.ModelStreamInferResponse
	failed *status.Status // nil: answered
}

// ModelStreamInfer runs requests as they come, up to MaxStreamed at once, and answers them in their order. An error is the
// answer to its request alone, unless the client asked for a status.
func (s *service) ModelStreamInfer(stream inference.GRPCInferenceService_ModelStreamInferServer) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	pending := make(chan chan streamed, MaxStreamed)
	received := make(chan error, 1)
	// Where the stream breaks off here, receiving ends only after this function has: it is not waited for then.
	go func() { received <- s.receive(ctx, stream, pending) }()
	wantsStatus := wantsStatus(ctx)
	for one := range pending {
		var result streamed
		select {
		case result = <-one:
		case <-ctx.Done():
			return s.refuse(ctx, streamCall, context.Cause(ctx)).Err()
		}
		if result.failed != nil && wantsStatus {
			return result.failed.Err()
		}
		if err := stream.Send(result.answer); err != nil {
			return err
		}
	}
	if err := <-received; err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// receive starts requests until the client has no more of them or ctx ends; it closes pending then, and waits for them.
func (s *service) receive(ctx context.Context, stream grpc.ServerStream, pending chan<- chan streamed) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(pending)
	for {
		request := new(inference.ModelInferRequest)
		if err := stream.RecvMsg(request); err != nil {
			return err
		}
		one := make(chan streamed, 1)
		select {
		case pending <- one:
		case <-ctx.Done():
			return ctx.Err()
		}
		running.Go(func() { one <- s.inferStreamed(ctx, request) })
	}
}

func (s *service) inferStreamed(ctx context.Context, request *inference.ModelInferRequest) streamed {
	id := request.GetId()
	response, err := s.infer(ctx, request, nil)
	if err != nil {
		failed := s.refuse(ctx, streamCall, err)
		return streamed{failed: failed, answer: &inference.ModelStreamInferResponse{
			ErrorMessage: failed.Message(),
			InferResponse: &inference.ModelInferResponse{
				Id: id, ModelName: request.GetModelName(), ModelVersion: request.GetModelVersion(),
			},
		}}
	}
	// Answers of one batch share theirs.
	if response.Parameters = maps.Clone(response.Parameters); response.Parameters == nil {
		response.Parameters = make(map[string]*inference.InferParameter)
	}
	response.Parameters[finalParameter] = &inference.InferParameter{ParameterChoice: &inference.InferParameter_BoolParam{BoolParam: true}}
	return streamed{answer: &inference.ModelStreamInferResponse{InferResponse: response}}
}

func wantsStatus(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(statusHeader)
	return len(values) == 1 && values[0] == "true"
}
