package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"sluice/broker/server"
	"sluice/cmd/sluice/access"
	"sluice/gateway"
	"sluice/gateway/sharedmemory"
	"sluice/proto/gen/control"
	"sluice/store/directory"
)

// doors are the ways to the control API and the broker's.
type doors struct {
	secured  credentials.TransportCredentials // nil: no TLS
	web      *tls.Config                      // the same for HTTP
	operator *grpc.Server
	tenants  *grpc.Server // nil: closed
}

func openDoors(flags serveFlags, known *directory.Directory, log *slog.Logger) (d doors, err error) {
	log = log.With("component", "access")
	audit := access.NewAudit(flags.in("audit.log"))
	d.operator = grpc.NewServer(access.Operator(audit, log)...)
	if flags.certificates.Certificate == "" {
		return d, nil
	}
	if d.secured, err = flags.certificates.Credentials(log); err != nil {
		return d, err
	}
	if d.web, err = flags.certificates.TLS(log, "http/1.1"); err != nil {
		return d, err
	}
	if flags.controlListen != "" {
		d.tenants = grpc.NewServer(access.Tenants(known, d.secured, audit, log)...)
	}
	return d, nil
}

func (d doors) register(api control.ControlServer, broker *server.Server) {
	for _, door := range []*grpc.Server{d.operator, d.tenants} {
		if door != nil {
			control.RegisterControlServer(door, api)
			broker.Register(door)
		}
	}
}

// openSharedMemory gives nil where none is served.
func openSharedMemory(flags serveFlags) (*sharedmemory.Regions, error) {
	if flags.sharedMemoryFolder == "" {
		return nil, nil
	}
	return sharedmemory.Open(flags.sharedMemoryFolder)
}

// serveTenants does nothing where the tenants' door is closed.
func (d doors) serveTenants(ctx context.Context, listener net.Listener) error {
	if d.tenants == nil {
		<-ctx.Done()
		return nil
	}
	return serveAPI(ctx, d.tenants, listener)
}

// serveHTTP does nothing where the gateway speaks gRPC alone.
func serveHTTP(ctx context.Context, front *gateway.Server, listener net.Listener) error {
	if listener == nil {
		<-ctx.Done()
		return nil
	}
	return front.RunHTTP(ctx, listener)
}
