// Package gateway is the front door: a gRPC server of Open Inference Protocol v2 with Triton's ModelConfig and
// ModelStatistics, server reflection and grpc.health.v1, and the same protocol over HTTP. It finds out who is calling, checks everything that a client
// sends, brings tensors into one form and hands requests to batcher/runner. It decides nothing else.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress, as Triton's can
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"sluice/batcher/runner"
	"sluice/gateway/intake"
	"sluice/gateway/rest"
	"sluice/gateway/sharedmemory"
	"sluice/proto/gen/inference"
	"sluice/proto/tensorwire"
	"sluice/store"
)

// drainTimeout is how long requests may go on when the gateway stops.
const drainTimeout = 10 * time.Second

// Tenants knows who is calling and what they may. It answers from memory.
type Tenants interface {
	// TenantOf returns the tenant whose API key this is; a key that opens nothing gives store.ErrNotFound.
	TenantOf(key string) (store.Tenant, error)
	// Tenant returns the tenant of that name; one that may do nothing gives store.ErrNotFound.
	Tenant(name string) (store.Tenant, error)
}

// Functions knows what is deployed.
type Functions interface {
	// Resolve returns the Key of a tenant's model, of its current version where none is named; one that is not
	// deployed gives store.ErrNotFound.
	Resolve(ctx context.Context, tenant, model, version string) (runner.Key, error)
	// List returns the Keys of the current versions of all that a tenant has deployed.
	List(ctx context.Context, tenant string) ([]runner.Key, error)
}

// Config is what a Server needs.
type Config struct {
	Tenants   Tenants
	Functions Functions
	Runner    *runner.Runner
	// DefaultTenant is who calls without an API key; empty: a key is needed.
	DefaultTenant string
	// Credentials secure connections; nil: they are plain.
	Credentials credentials.TransportCredentials
	// SharedMemory holds the regions of clients on this host; nil: shared memory is not served.
	SharedMemory *sharedmemory.Regions
	// Tracer makes a span of each request; nil: nothing is traced.
	Tracer trace.Tracer
	// Version is what ServerMetadata tells.
	Version string
	// Log may be nil.
	Log *slog.Logger
}

// Server serves one gateway.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	http   *http.Server
	intake *intake.Intake
	// connections are those of gRPC.
	connections *connections
}

// New makes a Server, which Run and RunHTTP start.
func New(config Config) *Server {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Credentials == nil {
		config.Credentials = insecure.NewCredentials()
	}
	service := &service{Config: config}
	s := &Server{health: health.NewServer(), intake: intake.New(), connections: new(connections)}
	s.grpc = grpc.NewServer(append(grpcOptions(config),
		grpc.InTapHandle(s.tap),
		grpc.ChainUnaryInterceptor(s.unary, service.mapErrors),
		grpc.StreamInterceptor(s.stream),
	)...)
	s.http = &http.Server{
		Handler: rest.New(rest.Config{
			Service: service, Status: service.refuse, Headers: []string{authorizationHeader, keyHeader, traceParentHeader, traceStateHeader},
			BodyBytesMax: MaxMessageBytes, WriteTimeout: intake.Patience, Intake: s.intake,
		}),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: intake.Patience, IdleTimeout: idleTimeout,
		MaxHeaderBytes: MaxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug),
	}
	inference.RegisterGRPCInferenceServiceServer(s.grpc, service)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	s.health.SetServingStatus(inference.GRPCInferenceService_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	reflection.Register(s.grpc)
	return s
}

func grpcOptions(config Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(config.Credentials),
		grpc.ForceServerCodecV2(tensorwire.Codec{}),
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxHeaderListSize(MaxHeaderBytes),
		grpc.MaxConcurrentStreams(MaxStreams),
		// Fixed windows: to find out the best ones, grpc-go sends a ping per message.
		grpc.InitialWindowSize(windowBytes),
		grpc.InitialConnWindowSize(connectionWindowBytes),
		// Calls run on goroutines that have grown their stacks already.
		grpc.NumStreamWorkers(uint32(streamWorkersPerCPU * runtime.GOMAXPROCS(0))),
		grpc.ConnectionTimeout(headerTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: connectionIdleTimeout, Time: pingInterval, Timeout: pingTimeout}),
		grpc.WaitForHandlers(true),
	}
}

// RunIntake gives up clients that are too slow, until ctx ends.
func (s *Server) RunIntake(ctx context.Context) error { return s.intake.Run(ctx) }

// Run serves on listener, and closes it, until ctx ends; then it waits up to drainTimeout for requests that run.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	served := make(chan error, 1)
	s.connections.Listener = listener
	go func() { served <- s.grpc.Serve(s.connections) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the gateway: %w", err)
	case <-ctx.Done():
	}
	s.health.Shutdown()
	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	select {
	case <-drained:
	case <-time.After(drainTimeout):
		s.grpc.Stop()
		<-drained
	}
	<-served
	return nil
}

// RunHTTP serves the protocol over HTTP on listener, likewise.
func (s *Server) RunHTTP(ctx context.Context, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the gateway over HTTP: %w", err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.http.Shutdown(draining); err != nil {
		_ = s.http.Close() // what still runs has had its time
	}
	<-served
	return nil
}
