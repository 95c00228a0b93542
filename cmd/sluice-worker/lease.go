package main

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"sluice/broker/handover"
	"sluice/broker/worker"
)

// openLease makes what serves an assigned Lease.
func openLease(handover.Assign) (worker.Server, error) { return refuser{}, nil }

// refuser ends every Session.
type refuser struct{}

func (refuser) Serve(context.Context, *net.UnixConn, *slog.Logger) error {
	return errors.New("this build forwards no API")
}

func (refuser) Stats() handover.Stats { return handover.Stats{} }
