package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice/proto/gen/control"
)

const probeTimeout = 2 * time.Second

// probeDaemon connects once and says in words what is wrong if that fails.
func probeDaemon(socket string) error {
	conn, err := net.DialTimeout("unix", socket, probeTimeout)
	switch {
	case err == nil:
		return conn.Close()
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w on %s: start one with `sluice serve`, or name its folder with --state", errNoDaemon, socket)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("may not open %s: run as the user that runs `sluice serve` (root): %w", socket, os.ErrPermission)
	}
	return fmt.Errorf("connecting to the daemon: %w", err)
}

// dialDaemon opens a connection to the daemon's socket, which carries the control API and the broker's.
func dialDaemon(socket string) (*grpc.ClientConn, error) {
	if err := probeDaemon(socket); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", socket, err)
	}
	return conn, nil
}

// withControl runs call with a client of the control API.
func withControl(ctx context.Context, g *globals, call func(context.Context, control.ControlClient) error) error {
	conn, err := dialDaemon(g.socket())
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(ctx, control.NewControlClient(conn))
}
