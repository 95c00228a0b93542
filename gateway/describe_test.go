package gateway

import (
	"slices"
	"testing"

	"sluice/batcher/runner/functiontest"
	"sluice/proto/gen/inference"
)

// A model's name that is no DNS label stands for one, and answers repeat it.
func TestModelNamesOfOtherServers(t *testing.T) {
	f := start(t, "default")
	ctx := as(t, "sluice-api-key", "third secret")
	const name = "Under_Scored"
	metadata, err := f.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: name})
	if err != nil || metadata.GetName() != name || len(metadata.GetInputs()) != 2 {
		t.Errorf("ModelMetadata = %v, %v", metadata, err)
	}
	config, err := f.ModelConfig(ctx, &inference.ModelConfigRequest{Name: name})
	if err != nil || config.GetConfig().GetName() != name {
		t.Errorf("ModelConfig = %v, %v", config, err)
	}
	request := functiontest.Request(1, 3)
	request.ModelName = name
	response, err := f.ModelInfer(ctx, request)
	if err != nil || response.GetModelName() != name {
		t.Fatalf("ModelInfer = %v, %v", response, err)
	}
	functiontest.CheckSum(t, response, 1, 3)
	statistics, err := f.ModelStatistics(ctx, &inference.ModelStatisticsRequest{Name: name})
	if err != nil || statistics.GetModelStats()[0].GetName() != name || statistics.GetModelStats()[0].GetInferenceStats().GetSuccess().GetCount() != 1 {
		t.Errorf("ModelStatistics = %v, %v", statistics, err)
	}
	if metadata, err := f.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: "under-scored"}); err != nil || metadata.GetName() != "under-scored" {
		t.Errorf("ModelMetadata = %v, %v", metadata, err)
	}
}

func TestModelConfig(t *testing.T) {
	f := start(t, "default")
	response, err := f.ModelConfig(t.Context(), &inference.ModelConfigRequest{Name: "simple"})
	if err != nil {
		t.Fatal(err)
	}
	config := response.GetConfig()
	if config.GetMaxBatchSize() != 8 || config.GetDynamicBatching().GetMaxQueueDelayMicroseconds() != 1000 ||
		config.GetInput()[0].GetDataType() != inference.DataType_TYPE_INT32 || !slices.Equal(config.GetInput()[0].GetDims(), []int64{16}) {
		t.Errorf("config of a function that batches is %v", config)
	}
	response, err = f.ModelConfig(as(t, "sluice-api-key", "secret"), &inference.ModelConfigRequest{Name: "alone"})
	if err != nil {
		t.Fatal(err)
	}
	config = response.GetConfig()
	if config.GetMaxBatchSize() != 0 || config.GetDynamicBatching() != nil || !slices.Equal(config.GetOutput()[1].GetDims(), []int64{-1, 16}) {
		t.Errorf("config of a function that does not batch is %v", config)
	}
}
