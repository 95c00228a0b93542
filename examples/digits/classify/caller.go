package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/metadata"

	"sluice/examples/digits/heldout"
	"sluice/examples/digits/network"
	"sluice/function"
	"sluice/proto/gen/inference"
)

const (
	// maxRequestImages is the size of the largest request; they take turns from 1 on.
	maxRequestImages = 4
	// requestTimeout bounds one request, which may have to wait for a cold start.
	requestTimeout = 2 * time.Minute
)

// caller sends images to digits.
type caller struct {
	client inference.GRPCInferenceServiceClient
	apiKey string
}

// classify returns the class found for each image, and how many requests that took.
func (c *caller) classify(ctx context.Context, images []heldout.Image, concurrency int) (classes []int64, requests int, err error) {
	classes = make([]int64, len(images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for begin, size := 0, 1; begin < len(images); begin, size = begin+size, size%maxRequestImages+1 {
		end := min(begin+size, len(images))
		group.Go(func() error {
			found, err := c.request(ctx, images[begin:end])
			if err != nil {
				return fmt.Errorf("images %d to %d: %w", begin, end-1, err)
			}
			copy(classes[begin:end], found)
			return nil
		})
		requests++
	}
	return classes, requests, group.Wait()
}

// request classifies the images of one request.
func (c *caller) request(ctx context.Context, images []heldout.Image) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if c.apiKey != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.apiKey)
	}
	var pixels []float32
	for _, image := range images {
		pixels = append(pixels, image.Pixels[:]...)
	}
	shape := []int64{int64(len(images)), network.Pixels}
	response, err := c.client.ModelInfer(ctx, &inference.ModelInferRequest{
		ModelName:        "digits",
		Inputs:           []*inference.ModelInferRequest_InferInputTensor{{Name: "PIXELS", Datatype: "FP32", Shape: shape}},
		RawInputContents: [][]byte{function.Float32Tensor("PIXELS", shape, pixels).Data},
	})
	if err != nil {
		return nil, err
	}
	return classesOf(response, len(images))
}

// classesOf takes CLASS out of a response for that many images.
func classesOf(response *inference.ModelInferResponse, images int) ([]int64, error) {
	if len(response.GetOutputs()) != len(response.GetRawOutputContents()) {
		return nil, fmt.Errorf("response has %d outputs and %d raw contents", len(response.GetOutputs()), len(response.GetRawOutputContents()))
	}
	var outputs function.Tensors
	for i, output := range response.GetOutputs() {
		outputs = append(outputs, function.Tensor{
			Name:     output.GetName(),
			Datatype: function.Datatype(output.GetDatatype()),
			Shape:    output.GetShape(),
			Data:     response.GetRawOutputContents()[i],
		})
	}
	classes, err := outputs.Int64s("CLASS")
	if err != nil {
		return nil, err
	}
	if len(classes) != images {
		return nil, fmt.Errorf("response has %d classes for %d images", len(classes), images)
	}
	return classes, nil
}
