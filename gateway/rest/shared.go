package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

// shareMemory serves the paths of extension_shared_memory.md.
func (d *door) shareMemory() {
	service := d.Service
	d.regions("/v2/systemsharedmemory",
		func(ctx context.Context, name string) ([]proto.Message, error) {
			answer, err := service.SystemSharedMemoryStatus(ctx, &inference.SystemSharedMemoryStatusRequest{Name: name})
			return byName(answer.GetRegions()), err
		},
		func(ctx context.Context, name string) error {
			_, err := service.SystemSharedMemoryUnregister(ctx, &inference.SystemSharedMemoryUnregisterRequest{Name: name})
			return err
		},
		func(ctx context.Context, name string, body []byte) error {
			var given struct {
				Key      string `json:"key"`
				Offset   uint64 `json:"offset"`
				ByteSize uint64 `json:"byte_size"`
			}
			if err := json.Unmarshal(body, &given); err != nil {
				return failure{http.StatusBadRequest, fmt.Sprintf("the body is no register request: %v", err)}
			}
			_, err := service.SystemSharedMemoryRegister(ctx, &inference.SystemSharedMemoryRegisterRequest{
				Name: name, Key: given.Key, Offset: given.Offset, ByteSize: given.ByteSize,
			})
			return err
		})
	d.regions("/v2/cudasharedmemory",
		func(ctx context.Context, name string) ([]proto.Message, error) {
			answer, err := service.CudaSharedMemoryStatus(ctx, &inference.CudaSharedMemoryStatusRequest{Name: name})
			return byName(answer.GetRegions()), err
		},
		func(ctx context.Context, name string) error {
			_, err := service.CudaSharedMemoryUnregister(ctx, &inference.CudaSharedMemoryUnregisterRequest{Name: name})
			return err
		},
		func(ctx context.Context, name string, _ []byte) error {
			_, err := service.CudaSharedMemoryRegister(ctx, &inference.CudaSharedMemoryRegisterRequest{Name: name})
			return err
		})
}

// regions serves one kind of shared memory. A region's name is in the path; without it all are meant.
func (d *door) regions(
	prefix string, status func(ctx context.Context, name string) ([]proto.Message, error),
	unregister func(ctx context.Context, name string) error, register func(ctx context.Context, name string, body []byte) error,
) {
	for _, path := range []string{prefix, prefix + "/region/{region}"} {
		d.answer("GET "+path+"/status", func(r *http.Request, _ []byte) (any, error) {
			regions, err := status(r.Context(), r.PathValue("region"))
			list := make([]any, len(regions))
			for i, region := range regions {
				list[i] = object(region.ProtoReflect())
			}
			return list, err
		})
		d.answer("POST "+path+"/unregister", func(r *http.Request, _ []byte) (any, error) {
			return struct{}{}, unregister(r.Context(), r.PathValue("region"))
		})
	}
	d.answer("POST "+prefix+"/region/{region}/register", func(r *http.Request, body []byte) (any, error) {
		return struct{}{}, register(r.Context(), r.PathValue("region"), body)
	})
}

// answer serves a call that is JSON both ways.
func (d *door) answer(pattern string, call func(r *http.Request, body []byte) (any, error)) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := d.readBody(w, r)
		var value any
		if err == nil {
			value, err = call(r, body)
		}
		var text []byte
		if err == nil {
			text, err = json.Marshal(value)
		}
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		d.send(w, http.StatusOK, "application/json", "", text)
	})
}

func byName[Region proto.Message](regions map[string]Region) []proto.Message {
	list := make([]proto.Message, 0, len(regions))
	for _, name := range slices.Sorted(maps.Keys(regions)) {
		list = append(list, regions[name])
	}
	return list
}
