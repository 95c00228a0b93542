package gateway

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"sluice/batcher/runner"
	"sluice/proto/gen/inference"
)

// dataTypes maps the protocol's names to those of a model configuration.
var dataTypes = map[string]inference.DataType{
	"BOOL":  inference.DataType_TYPE_BOOL,
	"UINT8": inference.DataType_TYPE_UINT8, "UINT16": inference.DataType_TYPE_UINT16,
	"UINT32": inference.DataType_TYPE_UINT32, "UINT64": inference.DataType_TYPE_UINT64,
	"INT8": inference.DataType_TYPE_INT8, "INT16": inference.DataType_TYPE_INT16,
	"INT32": inference.DataType_TYPE_INT32, "INT64": inference.DataType_TYPE_INT64,
	"FP16": inference.DataType_TYPE_FP16, "BF16": inference.DataType_TYPE_BF16,
	"FP32": inference.DataType_TYPE_FP32, "FP64": inference.DataType_TYPE_FP64,
	"BYTES": inference.DataType_TYPE_STRING,
}

// ModelMetadata tells what the function says about its tensors; asking a function that sleeps starts it.
func (s *service) ModelMetadata(ctx context.Context, request *inference.ModelMetadataRequest) (*inference.ModelMetadataResponse, error) {
	key, _, err := s.resolve(ctx, request.GetName(), request.GetVersion())
	if err != nil {
		return nil, err
	}
	known, err := s.Runner.Metadata(ctx, key)
	if err != nil {
		return nil, err
	}
	named := proto.CloneOf(known) // the runner keeps what is known
	named.Name = request.GetName()
	return named, nil
}

// ModelConfig tells in Triton's terms how a function batches and what its tensors are
// (protocol/extension_model_configuration.md).
func (s *service) ModelConfig(ctx context.Context, request *inference.ModelConfigRequest) (*inference.ModelConfigResponse, error) {
	key, _, err := s.resolve(ctx, request.GetName(), request.GetVersion())
	if err != nil {
		return nil, err
	}
	route, err := s.Runner.Route(key)
	if err != nil {
		return nil, err
	}
	metadata, err := s.Runner.Metadata(ctx, key)
	if err != nil {
		return nil, err
	}
	config, err := modelConfig(route, metadata)
	if err != nil {
		return nil, err
	}
	config.Name = request.GetName()
	return &inference.ModelConfigResponse{Config: config}, nil
}

func modelConfig(route runner.Route, metadata *inference.ModelMetadataResponse) (*inference.ModelConfig, error) {
	config := &inference.ModelConfig{Platform: metadata.GetPlatform(), Backend: "sluice"}
	if route.Joins() {
		config.MaxBatchSize = int32(route.MaxSize)
		config.SchedulingChoice = &inference.ModelConfig_DynamicBatching{DynamicBatching: &inference.ModelDynamicBatching{
			MaxQueueDelayMicroseconds: uint64(route.MaxWait.Microseconds()),
		}}
	}
	for _, input := range metadata.GetInputs() {
		dims, err := configDims(route, input)
		if err != nil {
			return nil, err
		}
		config.Input = append(config.Input, &inference.ModelInput{Name: input.GetName(), DataType: dataTypes[input.GetDatatype()], Dims: dims})
	}
	for _, output := range metadata.GetOutputs() {
		dims, err := configDims(route, output)
		if err != nil {
			return nil, err
		}
		config.Output = append(config.Output, &inference.ModelOutput{Name: output.GetName(), DataType: dataTypes[output.GetDatatype()], Dims: dims})
	}
	return config, nil
}

// configDims is a tensor's shape without the batch dimension.
func configDims(route runner.Route, tensor *inference.ModelMetadataResponse_TensorMetadata) ([]int64, error) {
	if !route.Joins() {
		return tensor.GetShape(), nil
	}
	if len(tensor.GetShape()) == 0 {
		return nil, fmt.Errorf("%w: tensor %q has no batch dimension in the metadata", runner.ErrOutput, tensor.GetName())
	}
	return tensor.GetShape()[1:], nil
}

// functions are the current versions of the caller's functions.
func (s *service) functions(ctx context.Context) ([]runner.Key, error) {
	tenant, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := s.Functions.List(ctx, tenant.Name)
	if err != nil {
		return nil, fmt.Errorf("list functions: %w", err)
	}
	return keys, nil
}

// RepositoryIndex lists the current versions of the caller's functions (protocol/extension_model_repository.md).
func (s *service) RepositoryIndex(ctx context.Context, request *inference.RepositoryIndexRequest) (*inference.RepositoryIndexResponse, error) {
	keys, err := s.functions(ctx)
	if err != nil {
		return nil, err
	}
	response := new(inference.RepositoryIndexResponse)
	for _, key := range keys {
		model := &inference.RepositoryIndexResponse_ModelIndex{Name: key.Function, Version: key.Version, State: "READY"}
		if _, err := s.Runner.Route(key); err != nil {
			if request.GetReady() {
				continue
			}
			model.State, model.Reason = "UNAVAILABLE", err.Error()
		}
		response.Models = append(response.Models, model)
	}
	return response, nil
}

// ModelStatistics has one entry for the model that is named, or one for each of the caller's.
func (s *service) ModelStatistics(ctx context.Context, request *inference.ModelStatisticsRequest) (*inference.ModelStatisticsResponse, error) {
	if request.GetName() != "" {
		key, _, err := s.resolve(ctx, request.GetName(), request.GetVersion())
		if err != nil {
			return nil, err
		}
		statistics, err := s.Runner.Statistics(key)
		if err != nil {
			return nil, err
		}
		statistics.Name = request.GetName()
		return &inference.ModelStatisticsResponse{ModelStats: []*inference.ModelStatistics{statistics}}, nil
	}
	keys, err := s.functions(ctx)
	if err != nil {
		return nil, err
	}
	response := new(inference.ModelStatisticsResponse)
	for _, key := range keys {
		statistics, err := s.Runner.Statistics(key)
		if errors.Is(err, runner.ErrNoRoute) {
			continue // removed since it was listed
		}
		if err != nil {
			return nil, err
		}
		response.ModelStats = append(response.ModelStats, statistics)
	}
	return response, nil
}
