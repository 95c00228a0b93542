package main

import (
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
	"sluice/runtime/image"
	"sluice/store"
	"sluice/store/directory"
)

// controlServer is the control API over the store and what follows it.
type controlServer struct {
	control.UnimplementedControlServer
	registry  store.Registry
	known     *directory.Directory
	rollout   *rollout
	images    *images // nil: this sandbox runs no images
	metrics   prometheus.Gatherer
	logFolder string
	log       *slog.Logger
}

func tenantOf(name string) string {
	if name == "" {
		return store.DefaultTenant
	}
	return name
}

// toStatus is the one place where errors become codes.
func toStatus(err error) error {
	code := codes.Internal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrInvalid), errors.Is(err, image.ErrInvalid):
		code = codes.InvalidArgument
	case errors.Is(err, store.ErrNotFound), errors.Is(err, image.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, store.ErrConflict):
		code = codes.Aborted
	case errors.Is(err, store.ErrUnavailable):
		code = codes.Unavailable
	}
	return status.Error(code, err.Error())
}
