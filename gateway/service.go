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
	extensions := []string{"binary_tensor_data", "model_configuration", "model_repository", "parameters", "schedule_policy", "statistics"}
	if s.SharedMemory != nil {
		extensions = append(extensions, "system_shared_memory")
	}
	return &inference.ServerMetadataResponse{Name: "sluice", Version: s.Version, Extensions: extensions}, nil
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
	return s.infer(ctx, request, func(id string) {
		// Without the header the call is as good: an error is of no interest.
		_ = grpc.SetHeader(ctx, metadata.Pairs(runner.RequestIDHeader, id))
	})
}

// infer tells the id under which the request goes to the function, where tell is given.
func (s *service) infer(
	ctx context.Context, request *inference.ModelInferRequest, tell func(id string),
) (*inference.ModelInferResponse, error) {
	begun := time.Now()
	ctx, end := s.trace(ctx)
	key, id, response, err := s.inferAs(ctx, request, tell)
	end(key, id, err)
	s.logInfer(ctx, key, id, err, time.Since(begun))
	return response, err
}

// inferAs also gives what the request is for and its id; the latter is empty where the request was refused.
func (s *service) inferAs(
	ctx context.Context, request *inference.ModelInferRequest, tell func(id string),
) (key runner.Key, id string, response *inference.ModelInferResponse, err error) {
	key, tenant, err := s.resolve(ctx, request.GetModelName(), request.GetModelVersion())
	if err == nil {
		err = checkSize(tenant, request)
	}
	var inRegions *shared
	if err == nil {
		inRegions, err = s.prepare(tenant, request)
	}
	if err != nil {
		return key, "", nil, err
	}
	defer inRegions.release()
	given := request.GetId()
	if given == "" {
		request.Id = rand.Text()
	}
	id = request.GetId()
	if tell != nil {
		tell(id)
	}
	response, err = s.Runner.Infer(ctx, key, request)
	if err == nil {
		err = inRegions.place(response)
	}
	if err != nil {
		return key, id, nil, err
	}
	response.Id = given
	return key, id, response, nil
}

// prepare checks a request and gives its inputs the one form that the runner takes. What it returns is to be released.
func (s *service) prepare(tenant store.Tenant, request *inference.ModelInferRequest) (*shared, error) {
	if err := checkFields(request); err != nil {
		return nil, err
	}
	taken, err := s.takeShared(tenant, request)
	if err != nil {
		return nil, err
	}
	if err := makeRaw(request, taken.data); err != nil {
		taken.release()
		return nil, err
	}
	return taken, nil
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
