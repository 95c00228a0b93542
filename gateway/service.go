package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"sluice/batcher/runner"
	"sluice/proto/gen/inference"
	"sluice/store"
)

// service implements the protocol's calls.
type service struct {
	inference.UnimplementedGRPCInferenceServiceServer
	Config
	rates rates
}

func (s *service) ServerLive(context.Context, *inference.ServerLiveRequest) (*inference.ServerLiveResponse, error) {
	return &inference.ServerLiveResponse{Live: true}, nil
}

func (s *service) ServerReady(context.Context, *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	return &inference.ServerReadyResponse{Ready: true}, nil
}

func (s *service) ServerMetadata(context.Context, *inference.ServerMetadataRequest) (*inference.ServerMetadataResponse, error) {
	return &inference.ServerMetadataResponse{
		Name: "sluice", Version: s.Version,
		Extensions: []string{"binary_tensor_data", "model_configuration", "parameters", "schedule_policy", "statistics"},
	}, nil
}

// ModelReady is true for what is deployed, asleep or not: a request to it is answered.
func (s *service) ModelReady(ctx context.Context, request *inference.ModelReadyRequest) (*inference.ModelReadyResponse, error) {
	key, _, err := s.resolve(ctx, request.GetName(), request.GetVersion())
	if err == nil {
		_, err = s.Runner.Route(key)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, runner.ErrNoRoute) {
		return nil, err
	}
	return &inference.ModelReadyResponse{Ready: err == nil}, nil
}

// ModelInfer runs one request. Its id, or one made for it, goes to the function and comes back as metadata.
func (s *service) ModelInfer(ctx context.Context, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	begun := time.Now()
	key, tenant, err := s.resolve(ctx, request.GetModelName(), request.GetModelVersion())
	if err == nil {
		err = checkSize(tenant, request)
	}
	if err == nil {
		err = validate(request)
	}
	if err != nil {
		s.logInfer(ctx, key, "", err, time.Since(begun))
		return nil, err
	}
	given := request.GetId()
	if given == "" {
		request.Id = rand.Text()
	}
	// Without the header the call is as good: an error is of no interest.
	_ = grpc.SetHeader(ctx, metadata.Pairs(runner.RequestIDHeader, request.GetId()))
	response, err := s.Runner.Infer(ctx, key, request)
	s.logInfer(ctx, key, request.GetId(), err, time.Since(begun))
	if err != nil {
		return nil, err
	}
	response.Id = given
	return response, nil
}

func (s *service) logInfer(ctx context.Context, key runner.Key, id string, err error, took time.Duration) {
	level, code := slog.LevelDebug, codes.OK
	if err != nil {
		level, code = slog.LevelInfo, statusOf(err).Code()
	}
	if !s.Log.Enabled(ctx, level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("request_id", id), slog.String("tenant", key.Tenant), slog.String("function", key.Function),
		slog.String("version", key.Version), slog.String("code", code.String()), slog.Duration("took", took),
	}
	if err != nil {
		attributes = append(attributes, slog.Any("error", err))
	}
	s.Log.LogAttrs(ctx, level, "infer", attributes...)
}
