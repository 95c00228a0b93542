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

// dialDaemon opens a connection to the daemon, which carries the control API and the broker's: over its socket or, where a
// server is named, over TLS with the tenant's key.
func dialDaemon(g *globals) (*grpc.ClientConn, error) {
	if g.remote.server == "" {
		if err := probeDaemon(g.socket()); err != nil {
			return nil, err
		}
		return dial("unix:"+g.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	secured, err := g.remote.credentials()
	if err != nil {
		return nil, err
	}
	if g.remote.key == "" {
		return nil, usageError{fmt.Errorf("--server needs --key, or %s", keyVariable)}
	}
	return dial(g.remote.server, grpc.WithTransportCredentials(secured), grpc.WithPerRPCCredentials(bearer(g.remote.key)))
}

func dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", target, err)
	}
	return conn, nil
}

// withControl runs call with a client of the control API.
func withControl(ctx context.Context, g *globals, call func(context.Context, control.ControlClient) error) error {
	conn, err := dialDaemon(g)
	if err != nil {
		return err
	}
	defer conn.Close()
	return call(ctx, control.NewControlClient(conn))
}
