package function

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// infer checks a request, waits for a slot, and runs the model. Errors are the gRPC
// statuses to answer with.
func (s *Server) infer(ctx context.Context, request *inference.ModelInferRequest) (response *inference.ModelInferResponse, batch int64, err error) {
	if err := s.config.checkModel(request.GetModelName(), request.GetModelVersion()); err != nil {
		return nil, 0, err
	}
	inputs, err := s.signature.decodeRequest(request)
	if err != nil {
		return nil, 0, status.Error(codes.InvalidArgument, err.Error())
	}
	batch = s.signature.batch(inputs)
	requested, err := s.signature.requestedOutputs(request)
	if err != nil {
		return nil, batch, status.Error(codes.InvalidArgument, err.Error())
	}
	release, err := s.acquire(ctx)
	if err != nil {
		return nil, batch, err
	}
	defer release()
	outputs, err := s.model.Infer(ctx, inputs)
	if err != nil {
		return nil, batch, s.statusOf(err)
	}
	if err := s.signature.checkOutputs(outputs, batch); err != nil {
		return nil, batch, status.Error(codes.Internal, err.Error())
	}
	response, err = encodeResponse(request, requested, outputs)
	if err != nil {
		return nil, batch, status.Error(codes.Internal, err.Error())
	}
	return response, batch, nil
}

// acquire waits for a slot to run an inference in.
func (s *Server) acquire(ctx context.Context) (release func(), err error) {
	if !s.ready.Load() {
		return nil, s.notReady()
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	case <-s.broken:
		return nil, s.notReady()
	}
	select {
	case <-s.broken:
		<-s.slots
		return nil, s.notReady()
	default:
		return func() { <-s.slots }, nil
	}
}

// notReady is the answer to a request that cannot run, and has not: it may be sent again.
func (s *Server) notReady() error {
	select {
	case <-s.broken:
		return status.Errorf(codes.Unavailable, "the function ends: %v", s.fatal)
	default:
		return status.Error(codes.Unavailable, "the function is not ready")
	}
}

// statusOf is the one place where a model's errors become gRPC codes.
func (s *Server) statusOf(err error) error {
	switch {
	case errors.Is(err, ErrFatal):
		s.breakWith(err)
		return status.Error(codes.Unavailable, err.Error())
	case errors.Is(err, ErrInvalidInput):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	default:
		return status.Error(codes.Internal, err.Error())
	}
}

// checkModel refuses the names of other models.
func (c Config) checkModel(name, version string) error {
	if c.Function != "" && name != c.Function {
		return status.Errorf(codes.NotFound, "model %.64q is not served here, %q is", name, c.Function)
	}
	if c.Version != "" && version != "" && version != c.Version {
		return status.Errorf(codes.NotFound, "version %.64q of model %.64q is not served here, %q is", version, name, c.Version)
	}
	return nil
}
