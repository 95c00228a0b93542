package function

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// requestIDKey is the metadata in which the gateway names the requests of a batch; one alone has its id itself.
const requestIDKey = "sluice-request-id"

// service answers the protocol's calls.
type service struct {
	inference.UnimplementedGRPCInferenceServiceServer
	server *Server
}

func (s *service) ServerLive(context.Context, *inference.ServerLiveRequest) (*inference.ServerLiveResponse, error) {
	return &inference.ServerLiveResponse{Live: true}, nil
}

func (s *service) ServerReady(context.Context, *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	return &inference.ServerReadyResponse{Ready: s.server.ready.Load()}, nil
}

func (s *service) ModelReady(_ context.Context, request *inference.ModelReadyRequest) (*inference.ModelReadyResponse, error) {
	if err := s.server.config.checkModel(request.GetName(), request.GetVersion()); err != nil {
		return nil, err
	}
	return &inference.ModelReadyResponse{Ready: s.server.ready.Load()}, nil
}

func (s *service) ServerMetadata(context.Context, *inference.ServerMetadataRequest) (*inference.ServerMetadataResponse, error) {
	return &inference.ServerMetadataResponse{Name: "sluice-function", Version: "1"}, nil
}

func (s *service) ModelMetadata(_ context.Context, request *inference.ModelMetadataRequest) (*inference.ModelMetadataResponse, error) {
	if err := s.server.config.checkModel(request.GetName(), request.GetVersion()); err != nil {
		return nil, err
	}
	response := &inference.ModelMetadataResponse{
		Name:     request.GetName(),
		Platform: s.server.signature.Platform,
		Inputs:   tensorMetadata(s.server.signature.Inputs),
		Outputs:  tensorMetadata(s.server.signature.Outputs),
	}
	if version := s.server.config.Version; version != "" {
		response.Versions = []string{version}
	}
	return response, nil
}

func tensorMetadata(specs []TensorSpec) []*inference.ModelMetadataResponse_TensorMetadata {
	var tensors []*inference.ModelMetadataResponse_TensorMetadata
	for _, spec := range specs {
		tensors = append(tensors, &inference.ModelMetadataResponse_TensorMetadata{
			Name: spec.Name, Datatype: string(spec.Datatype), Shape: spec.Shape,
		})
	}
	return tensors
}

// ModelInfer runs the model and logs the outcome under the ids of the requests.
func (s *service) ModelInfer(ctx context.Context, request *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	begin := time.Now()
	response, batch, err := s.server.infer(ctx, request)
	ids := request.GetId()
	if ids == "" {
		ids = strings.Join(metadata.ValueFromIncomingContext(ctx, requestIDKey), ",")
	}
	log := s.server.config.Log.With(
		"request_id", ids,
		"batch", batch,
		"duration_us", time.Since(begin).Microseconds(),
	)
	if err != nil {
		log.Warn("inference failed", "code", status.Code(err).String(), "error", status.Convert(err).Message())
		return nil, err
	}
	log.Info("inference")
	return response, nil
}
