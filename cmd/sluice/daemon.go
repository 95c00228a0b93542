package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sluice/batcher/runner"
	"sluice/broker/client"
	"sluice/broker/lease"
	"sluice/broker/server"
	"sluice/gateway"
	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
	"sluice/scheduler/executor"
	"sluice/store"
	"sluice/store/directory"
)

// stateMode lets programs reach session and inject below the state folder; what is root's alone has modes of its own.
const stateMode = 0o755

// gcPercent lets the heap grow further than usual between collections: what lives is a few MiB, a request leaves some 14 KiB
// behind, and a collection takes a core from requests. GOGC overrides it.
const gcPercent = 400

// memoryLimitBytes is from which heap on collections come as often as it takes to stay below: by gcPercent alone, clients that
// keep much alive would make it five times as large. GOMEMLIMIT overrides it.
const memoryLimitBytes = 1536 << 20

// serve makes every part of the daemon and joins them; this function is the list of parts. It returns when ctx has ended and all
// of them are gone; its cause says whether what they run ends too (errEndAll) or goes on.
func serve(ctx context.Context, flags serveFlags, log *slog.Logger) (err error) {
	if err := prepareProcess(flags); err != nil {
		return err
	}
	if err := slackenMonitor(); err != nil {
		log.Debug("the daemon costs more", "error", err)
	}
	registry, err := openStore(ctx, flags, log)
	if err != nil {
		return err
	}
	defer closing(&err, registry)
	injected, err := inject.Install(flags.stateFolder, flags.shim)
	if err != nil {
		return err
	}
	metrics := newMetrics()
	traces, err := openTracing(ctx, log.With("component", "tracing"))
	if err != nil {
		return err
	}
	defer closing(&err, traces)
	broker, brokerClient, err := openBroker(ctx, flags, metrics, log)
	if err != nil {
		return err
	}
	defer closing(&err, brokerClient)

	confined, err := openSandbox(ctx, flags, injected, log)
	if err != nil {
		return err
	}
	defer closing(&err, confined)
	rollout, err := openRollout(flags, registry, confined, brokerClient, metrics, traces, log)
	if err != nil {
		return err
	}
	known, err := openDirectory(ctx, registry, rollout, broker, log)
	if err != nil {
		return err
	}
	if err := rollout.restore(ctx); err != nil {
		return err
	}
	doors, err := openDoors(flags, known, log)
	if err != nil {
		return err
	}
	shared, err := openSharedMemory(flags)
	if err != nil {
		return err
	}
	defer closing(&err, shared)
	front := gateway.New(gateway.Config{
		Credentials: doors.secured, SharedMemory: shared, Tracer: traces.tracer(),
		Tenants: callers{known}, Functions: rollout, Runner: rollout.routes, DefaultTenant: flags.anonymousTenant,
		Log: log.With("component", "gateway"),
	})
	control := &controlServer{
		registry: registry, known: known, rollout: rollout, images: confined.images, metrics: metrics, logFolder: flags.in("logs"),
		log: log.With("component", "control"),
	}
	doors.register(control, broker)
	listeners, err := listen(flags, doors.web)
	if err != nil {
		return err
	}
	log.Info("serving", "gateway", flags.listen, "http", flags.httpListen, "metrics", flags.metricsListen, "socket", flags.in(socketName), "sandbox", flags.sandbox)
	handOver := func() {
		rollout.executor.Leave()
		broker.Leave()
	}
	return runComponents(ctx, log, handOver, components(front, known, rollout, doors, broker, metrics, listeners))
}

// components are the parts that run, in the order of the requests' way.
func components(
	front *gateway.Server, known *directory.Directory, rollout *rollout, doors doors, broker *server.Server,
	metrics *prometheus.Registry, listeners listeners,
) []component {
	return []component{
		{"gateway", func(ctx context.Context) error { return front.Run(ctx, listeners.gateway) }},
		{"intake", front.RunIntake},
		{"http", func(ctx context.Context) error { return serveHTTP(ctx, front, listeners.http) }},
		{"directory", known.Run},
		{"rollout", rollout.Run},
		{"executor", rollout.executor.Run},
		{"runner", rollout.routes.Run},
		{"control", func(ctx context.Context) error { return doors.serveTenants(ctx, listeners.control) }},
		{"socket", func(ctx context.Context) error { return serveAPI(ctx, doors.operator, listeners.socket) }},
		{"broker", broker.Run},
		{"metrics", func(ctx context.Context) error { return serveMetrics(ctx, metrics, listeners.metrics) }},
	}
}

// prepareProcess makes what every part needs to be there.
func prepareProcess(flags serveFlags) error {
	if err := os.MkdirAll(flags.stateFolder, stateMode); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimitBytes)
	}
	return nil
}

func (f serveFlags) in(name string) string { return filepath.Join(f.stateFolder, name) }

// closing closes a part when serve returns, and adds its error.
func closing(err *error, part io.Closer) { *err = errors.Join(*err, part.Close()) }

func newMetrics() *prometheus.Registry {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return metrics
}

// openBroker gives the broker, and a client of it over the daemon's own socket.
func openBroker(
	ctx context.Context, flags serveFlags, metrics *prometheus.Registry, log *slog.Logger,
) (*server.Server, *client.Client, error) {
	broker, err := server.New(ctx, server.Config{
		StateFolder: flags.stateFolder, WorkerPath: flags.worker, Warm: flags.warmWorkers, Log: log.With("component", "broker"),
	})
	if err != nil {
		return nil, nil, err
	}
	metrics.MustRegister(broker.Collector())
	own, err := client.Open(flags.in(socketName))
	return broker, own, err
}

// openRollout joins the route table and the executor.
func openRollout(
	flags serveFlags, registry store.Registry, confined sandbox.Sandbox, broker *client.Client,
	metrics *prometheus.Registry, traces tracing, log *slog.Logger,
) (*rollout, error) {
	node, err := executor.ThisNode()
	if err != nil {
		return nil, err
	}
	r := newRollout(registry, log.With("component", "rollout"))
	r.routes = runner.New(runner.Config{Demand: r, Log: log.With("component", "runner"), Metrics: metrics, Tracer: traces.tracer()})
	r.executor, err = executor.New(executor.Config{
		Node: node, FunctionFolder: flags.in("functions"), LogFolder: flags.in("logs"), Sandbox: confined, Broker: broker,
		Routes: routes{r.routes}, Log: log.With("component", "executor"), Metrics: metrics,
	})
	return r, err
}

// openDirectory tells those who enforce them of the tenants' limits.
func openDirectory(
	ctx context.Context, registry store.Registry, rollout *rollout, broker *server.Server, log *slog.Logger,
) (*directory.Directory, error) {
	return directory.Open(ctx, registry, log.With("component", "directory"), func(tenant store.Tenant) {
		rollout.executor.SetTenant(tenant)
		broker.SetTenantLimit(tenant.Name, lease.TenantLimit{MemoryBytes: tenant.Limits.SliceMemoryBytes, Disabled: tenant.Disabled})
	})
}
