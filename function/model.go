package function

import (
	"context"
	"fmt"
)

// Limits of a request. What exceeds them is refused before the model is asked.
const (
	// MaxMessageBytes bounds one request and one response.
	MaxMessageBytes = 64 << 20
	// MaxDimensions bounds the length of a shape in a signature.
	MaxDimensions = 16
	// maxMetadataBytes bounds a call's metadata. A batch carries the ids of its requests.
	maxMetadataBytes = 64 << 10
	// maxPendingCalls bounds the calls that one connection has open.
	maxPendingCalls = 256
)

// Model is what a function's author writes. If it is also an io.Closer, Close is
// called after the last inference.
type Model interface {
	// Signature declares the model's tensors. It is called once, before Load.
	Signature() Signature

	// Load prepares for inferences: reads weights, opens the device, builds kernels.
	// It is called once. An error ends the process.
	Load(ctx context.Context) error

	// Infer computes the outputs for inputs that fit the signature; they are in the
	// signature's order. All outputs are returned, in any order, in the signature's
	// types and shapes and with the inputs' batch size. Infer may keep neither the
	// inputs nor the outputs.
	//
	// An error is answered with INTERNAL, one that wraps ErrInvalidInput with
	// INVALID_ARGUMENT, and one that Fatal made with UNAVAILABLE before the process ends.
	Infer(ctx context.Context, inputs Tensors) (Tensors, error)
}

// Signature is what a model declares about itself.
type Signature struct {
	// Platform says what computes, for people: "opencl", "go".
	Platform string
	// MaxBatch is the largest size of the first dimension of every tensor, which is
	// then the batch and must be -1 in every shape. 0: the model takes no batches.
	MaxBatch int
	// Concurrency is how many calls of Infer may run at once; 0 means 1.
	Concurrency int
	Inputs      []TensorSpec
	Outputs     []TensorSpec
}

// TensorSpec declares one tensor.
type TensorSpec struct {
	Name     string
	Datatype Datatype
	// Shape holds each dimension's size; -1 stands for any size of at least 1.
	Shape []int64
}

// check says what is wrong with a signature.
func (s Signature) check() error {
	if s.MaxBatch < 0 || s.Concurrency < 0 {
		return fmt.Errorf("signature: MaxBatch %d and Concurrency %d may not be negative", s.MaxBatch, s.Concurrency)
	}
	if len(s.Inputs) == 0 || len(s.Outputs) == 0 {
		return fmt.Errorf("signature: has %d inputs and %d outputs, needs one of each at least", len(s.Inputs), len(s.Outputs))
	}
	for _, specs := range [][]TensorSpec{s.Inputs, s.Outputs} {
		names := make(map[string]bool)
		for _, spec := range specs {
			if err := s.checkSpec(spec); err != nil {
				return err
			}
			if names[spec.Name] {
				return fmt.Errorf("signature: tensor %q is declared twice", spec.Name)
			}
			names[spec.Name] = true
		}
	}
	return nil
}

func (s Signature) checkSpec(spec TensorSpec) error {
	if spec.Name == "" {
		return fmt.Errorf("signature: a tensor has no name")
	}
	if _, known := datatypeBytes[spec.Datatype]; !known {
		return fmt.Errorf("signature: tensor %q has unknown datatype %q", spec.Name, spec.Datatype)
	}
	if len(spec.Shape) > MaxDimensions {
		return fmt.Errorf("signature: tensor %q has %d dimensions, limit %d", spec.Name, len(spec.Shape), MaxDimensions)
	}
	for _, size := range spec.Shape {
		if size != -1 && size < 1 {
			return fmt.Errorf("signature: tensor %q has shape %v, want sizes of at least 1, or -1", spec.Name, spec.Shape)
		}
	}
	if s.MaxBatch > 0 && (len(spec.Shape) == 0 || spec.Shape[0] != -1) {
		return fmt.Errorf("signature: tensor %q has shape %v, must begin with -1, the batch", spec.Name, spec.Shape)
	}
	return nil
}

// concurrency is how many inferences may run at once.
func (s Signature) concurrency() int {
	return max(1, s.Concurrency)
}
