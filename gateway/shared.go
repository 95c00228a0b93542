package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"google.golang.org/grpc/peer"

	"sluice/gateway/sharedmemory"
	"sluice/proto/gen/inference"
	"sluice/store"
)

// Parameters of a tensor that lies in shared memory (extension_shared_memory.md).
const (
	sharedPrefix   = "shared_memory_"
	sharedRegion   = sharedPrefix + "region"
	sharedOffset   = sharedPrefix + "offset"
	sharedByteSize = sharedPrefix + "byte_size"
)

// ErrUnserved is the error of a call of an extension that is not served here.
var ErrUnserved = errors.New("not served")

// inShared says whether a tensor's data are in shared memory.
func inShared(parameters map[string]*inference.InferParameter) bool {
	for name := range parameters {
		if strings.HasPrefix(name, sharedPrefix) {
			return true
		}
	}
	return false
}

// placement is where a tensor lies in shared memory.
type placement struct {
	region       string
	offset, size uint64
}

// takePlacement takes a tensor's place out of its parameters.
func takePlacement(parameters map[string]*inference.InferParameter) (p placement, err error) {
	given, there := parameters[sharedRegion].GetParameterChoice().(*inference.InferParameter_StringParam)
	if !there {
		return p, fmt.Errorf("parameters[%q] is not there as a string_param", sharedRegion)
	}
	p.region = given.StringParam
	if _, there := parameters[sharedByteSize]; !there {
		return p, fmt.Errorf("parameters[%q] is not there", sharedByteSize)
	}
	if p.size, err = count(parameters, sharedByteSize); err != nil {
		return p, err
	}
	if p.offset, err = count(parameters, sharedOffset); err != nil {
		return p, err
	}
	for _, name := range []string{sharedRegion, sharedByteSize, sharedOffset} {
		delete(parameters, name)
	}
	return p, nil
}

// count is a parameter that is a number of bytes; 0 where it is not there.
func count(parameters map[string]*inference.InferParameter, name string) (uint64, error) {
	switch choice := parameters[name].GetParameterChoice().(type) {
	case *inference.InferParameter_Uint64Param:
		return choice.Uint64Param, nil
	case *inference.InferParameter_Int64Param:
		if choice.Int64Param >= 0 {
			return uint64(choice.Int64Param), nil
		}
	case nil:
		return 0, nil
	}
	return 0, fmt.Errorf("parameters[%q] is not an int64_param or uint64_param of at least 0", name)
}

// shared is what a request has in shared memory.
type shared struct {
	inputs  []*sharedmemory.Part
	data    [][]byte // of each input; nil for one that is not there
	outputs map[string]output
}

// noShared is of requests that have nothing there.
var noShared = new(shared)

func usesShared(request *inference.ModelInferRequest) bool {
	for _, input := range request.GetInputs() {
		if inShared(input.GetParameters()) {
			return true
		}
	}
	for _, wanted := range request.GetOutputs() {
		if inShared(wanted.GetParameters()) {
			return true
		}
	}
	return false
}

type output struct {
	part *sharedmemory.Part
	placement
}

// takeShared finds the places of a request's tensors, reads its inputs and takes out the parameters that say so, which are
// not the function's. The result is to be released.
func (s *service) takeShared(tenant store.Tenant, request *inference.ModelInferRequest) (*shared, error) {
	if !usesShared(request) {
		return noShared, nil
	}
	taken := new(shared)
	err := s.takeInputs(tenant, request, taken)
	if err == nil {
		err = s.takeOutputs(tenant, request, taken)
	}
	if err != nil {
		taken.release()
		return nil, err
	}
	return taken, nil
}

func (s *service) takeInputs(tenant store.Tenant, request *inference.ModelInferRequest, taken *shared) error {
	limit := uint64(MaxMessageBytes)
	if tenant.Limits.RequestBytes > 0 {
		limit = min(limit, uint64(tenant.Limits.RequestBytes))
	}
	left := limit
	for i, input := range request.GetInputs() {
		if !inShared(input.GetParameters()) {
			continue
		}
		part, place, err := s.use(tenant, input.GetParameters())
		if err != nil {
			return fmt.Errorf("inputs[%d]: %w", i, err)
		}
		taken.inputs = append(taken.inputs, part)
		if place.size > left {
			return fmt.Errorf("inputs[%d]: %w: more than %d bytes in shared memory", i, ErrLimit, limit)
		}
		left -= place.size
		if taken.data == nil {
			taken.data = make([][]byte, len(request.GetInputs()))
		}
		if taken.data[i], err = part.Read(); err != nil {
			return fmt.Errorf("inputs[%d]: %w", i, err)
		}
	}
	return nil
}

func (s *service) takeOutputs(tenant store.Tenant, request *inference.ModelInferRequest, taken *shared) error {
	for i, wanted := range request.GetOutputs() {
		if !inShared(wanted.GetParameters()) {
			continue
		}
		part, place, err := s.use(tenant, wanted.GetParameters())
		if err != nil {
			return fmt.Errorf("outputs[%d]: %w", i, err)
		}
		if taken.outputs == nil {
			taken.outputs = make(map[string]output)
		}
		taken.outputs[wanted.GetName()] = output{part, place}
	}
	return nil
}

// use finds the place that a tensor's parameters name.
func (s *service) use(tenant store.Tenant, parameters map[string]*inference.InferParameter) (*sharedmemory.Part, placement, error) {
	if s.SharedMemory == nil {
		return nil, placement{}, fmt.Errorf("%w: parameters[%q]: shared memory is not served", ErrInvalid, sharedRegion)
	}
	place, err := takePlacement(parameters)
	if err != nil {
		return nil, placement{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	part, err := s.SharedMemory.Use(tenant.Name, place.region, place.offset, place.size)
	return part, place, err
}

// place moves the outputs that were asked for in shared memory there. As in Triton's answers an empty entry of
// raw_output_contents stands for each.
func (taken *shared) place(response *inference.ModelInferResponse) error {
	if len(taken.outputs) == 0 {
		return nil
	}
	for i, given := range response.GetOutputs() {
		to, there := taken.outputs[given.GetName()]
		if !there {
			continue
		}
		data := response.GetRawOutputContents()[i]
		if err := to.part.Write(data); err != nil {
			return fmt.Errorf("output %q: %w", given.GetName(), err)
		}
		response.RawOutputContents[i] = nil
		// Answers of one batch share theirs.
		if given.Parameters = maps.Clone(given.Parameters); given.Parameters == nil {
			given.Parameters = make(map[string]*inference.InferParameter)
		}
		given.Parameters[sharedRegion] = &inference.InferParameter{ParameterChoice: &inference.InferParameter_StringParam{StringParam: to.region}}
		given.Parameters[sharedByteSize] = number(len(data))
		if to.offset > 0 {
			given.Parameters[sharedOffset] = number(int(to.offset))
		}
	}
	return nil
}

func number(value int) *inference.InferParameter {
	return &inference.InferParameter{ParameterChoice: &inference.InferParameter_Int64Param{Int64Param: int64(value)}}
}

func (taken *shared) release() {
	for _, part := range taken.inputs {
		part.Release()
	}
	for _, to := range taken.outputs {
		to.part.Release()
	}
}

// regions gives the tenant whose regions a call is about.
func (s *service) regions(ctx context.Context) (store.Tenant, error) {
	tenant, err := s.tenant(ctx)
	if err == nil && s.SharedMemory == nil {
		err = fmt.Errorf("%w: the daemon has no folder for shared memory", ErrUnserved)
	}
	return tenant, err
}

// SystemSharedMemoryStatus lists the caller's regions.
func (s *service) SystemSharedMemoryStatus(
	ctx context.Context, request *inference.SystemSharedMemoryStatusRequest,
) (*inference.SystemSharedMemoryStatusResponse, error) {
	tenant, err := s.regions(ctx)
	if err != nil {
		return nil, err
	}
	regions, err := s.SharedMemory.Status(tenant.Name, request.GetName())
	if err != nil {
		return nil, err
	}
	response := &inference.SystemSharedMemoryStatusResponse{
		Regions: make(map[string]*inference.SystemSharedMemoryStatusResponse_RegionStatus),
	}
	for _, region := range regions {
		response.Regions[region.Name] = &inference.SystemSharedMemoryStatusResponse_RegionStatus{
			Name: region.Name, Key: region.Key, Offset: region.Offset, ByteSize: region.ByteSize,
		}
	}
	return response, nil
}

// SystemSharedMemoryRegister names a part of a file of the connection's user.
func (s *service) SystemSharedMemoryRegister(
	ctx context.Context, request *inference.SystemSharedMemoryRegisterRequest,
) (*inference.SystemSharedMemoryRegisterResponse, error) {
	tenant, err := s.regions(ctx)
	if err != nil {
		return nil, err
	}
	from, ok := peer.FromContext(ctx)
	if !ok {
		return nil, fmt.Errorf("%w: the connection's user is not known", sharedmemory.ErrDenied)
	}
	user, err := sharedmemory.User(from.Addr, from.LocalAddr)
	if err != nil {
		return nil, err
	}
	err = s.SharedMemory.Register(tenant.Name, sharedmemory.Region{
		Name: request.GetName(), Key: request.GetKey(), Offset: request.GetOffset(), ByteSize: request.GetByteSize(),
	}, user)
	if err != nil {
		return nil, err
	}
	return new(inference.SystemSharedMemoryRegisterResponse), nil
}

// SystemSharedMemoryUnregister ends one of the caller's regions, or all.
func (s *service) SystemSharedMemoryUnregister(
	ctx context.Context, request *inference.SystemSharedMemoryUnregisterRequest,
) (*inference.SystemSharedMemoryUnregisterResponse, error) {
	tenant, err := s.regions(ctx)
	if err != nil {
		return nil, err
	}
	s.SharedMemory.Unregister(tenant.Name, request.GetName())
	return new(inference.SystemSharedMemoryUnregisterResponse), nil
}

// CudaSharedMemoryStatus lists nothing.
func (s *service) CudaSharedMemoryStatus(
	ctx context.Context, request *inference.CudaSharedMemoryStatusRequest,
) (*inference.CudaSharedMemoryStatusResponse, error) {
	if _, err := s.tenant(ctx); err != nil {
		return nil, err
	}
	if request.GetName() != "" {
		return nil, fmt.Errorf("%w: no region %.*q", sharedmemory.ErrNotFound, MaxNameBytes, request.GetName())
	}
	return new(inference.CudaSharedMemoryStatusResponse), nil
}

// CudaSharedMemoryRegister is refused: the gateway reaches no device.
func (s *service) CudaSharedMemoryRegister(
	context.Context, *inference.CudaSharedMemoryRegisterRequest,
) (*inference.CudaSharedMemoryRegisterResponse, error) {
	return nil, fmt.Errorf("%w: shared memory of CUDA devices", ErrUnserved)
}

// CudaSharedMemoryUnregister has nothing to end.
func (s *service) CudaSharedMemoryUnregister(
	ctx context.Context, _ *inference.CudaSharedMemoryUnregisterRequest,
) (*inference.CudaSharedMemoryUnregisterResponse, error) {
	_, err := s.tenant(ctx)
	return new(inference.CudaSharedMemoryUnregisterResponse), err
}
