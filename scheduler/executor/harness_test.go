package executor_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/proto/gen/inference"
	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/process"
	"sluice/scheduler"
	"sluice/scheduler/executor"
	"sluice/store"
)

// patience bounds the wait for what must come; it is no measure of speed.
const patience = 30 * time.Second

// routeTable records what the Executor does to the routes.
type routeTable struct {
	mutex     sync.Mutex
	endpoints map[string]executor.Endpoint
	failed    []error
	changed   chan struct{} // closed and made anew at each change
}

func newRouteTable() *routeTable {
	return &routeTable{endpoints: make(map[string]executor.Endpoint), changed: make(chan struct{})}
}

func (r *routeTable) change(do func()) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	do()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *routeTable) Add(_ scheduler.Key, endpoint executor.Endpoint) error {
	r.change(func() { r.endpoints[endpoint.Instance] = endpoint })
	return nil
}

func (r *routeTable) Remove(_ scheduler.Key, instance string) <-chan struct{} {
	r.change(func() { delete(r.endpoints, instance) })
	drained := make(chan struct{})
	close(drained)
	return drained
}

func (r *routeTable) Fail(_ scheduler.Key, cause error) {
	r.change(func() { r.failed = append(r.failed, cause) })
}

// await waits until the routes are as wanted.
func (r *routeTable) await(t *testing.T, what string, wanted func(endpoints map[string]executor.Endpoint, failed []error) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		r.mutex.Lock()
		done, changed := wanted(r.endpoints, r.failed), r.changed
		r.mutex.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("never came: %s", what)
		}
	}
}

// one waits until exactly one Instance, another than those in not, is on the route, and returns it.
func (r *routeTable) one(t *testing.T, not ...string) executor.Endpoint {
	t.Helper()
	var found executor.Endpoint
	r.await(t, "one instance on the route", func(endpoints map[string]executor.Endpoint, _ []error) bool {
		for _, id := range not {
			if _, there := endpoints[id]; there {
				return false
			}
		}
		for _, found = range endpoints {
		}
		return len(endpoints) == 1
	})
	return found
}

func (r *routeTable) none(t *testing.T) {
	t.Helper()
	r.await(t, "no instance on the route", func(endpoints map[string]executor.Endpoint, _ []error) bool { return len(endpoints) == 0 })
}

// cause waits until somebody who waited was refused, and returns why.
func (r *routeTable) cause(t *testing.T) error {
	t.Helper()
	var cause error
	r.await(t, "refusal", func(_ map[string]executor.Endpoint, failed []error) bool {
		if len(failed) > 0 {
			cause = failed[0]
		}
		return cause != nil
	})
	return cause
}

// harness is an Executor over real processes and a simulated broker.
type harness struct {
	*executor.Executor
	t       *testing.T
	folder  string
	sandbox sandbox.Sandbox
	broker  *simulatedBroker
	client  *client.Client
	routes  *routeTable
	stop    func() // ends Run and waits for it
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := prepare(t)
	h.run()
	return h
}

// prepare makes everything but does not run it.
func prepare(t *testing.T) *harness {
	t.Helper()
	folder, err := os.MkdirTemp("", "ex") // sockets' paths must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	h := &harness{t: t, folder: folder}
	h.broker, h.client = startSimulatedBroker(t)
	h.fresh()
	return h
}

// fresh makes an Executor as a new process would, over the same folder and the same broker.
func (h *harness) fresh() {
	h.t.Helper()
	h.routes, h.sandbox = newRouteTable(), h.openSandbox()
	var err error
	h.Executor, err = executor.New(executor.Config{
		Node:           scheduler.Node{Name: "n", CPUMilli: 4000, MemoryBytes: 4 * gibibyte},
		FunctionFolder: filepath.Join(h.folder, "f"), LogFolder: filepath.Join(h.folder, "logs"),
		Sandbox: h.sandbox, Broker: h.client, Routes: h.routes,
		Log:           slog.New(slog.NewTextHandler(testWriter{h.t}, nil)),
		LeaseDuration: 3 * time.Second, StopGrace: 5 * time.Second,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) openSandbox() sandbox.Sandbox {
	h.t.Helper()
	opened, err := process.New(filepath.Join(h.folder, "records"), inject.At(h.folder), discard)
	if err != nil {
		h.t.Fatal(err)
	}
	return opened
}

func (h *harness) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	h.stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			h.t.Fatal("Run does not end")
		}
	}
	h.t.Cleanup(func() { h.stop() })
}

// deploy makes a function of the program's mode known.
func (h *harness) deploy(mode string, change func(*store.FunctionSpec)) scheduler.Key {
	h.t.Helper()
	program, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	spec := store.FunctionSpec{
		Name: mode, Command: []string{program}, Concurrency: 2,
		Env: map[string]string{
			envMode: mode, "TEST_PROGRAM_MARK": filepath.Join(h.folder, "mark"),
			"GORACE": "atexit_sleep_ms=0", // a program of the race detector takes a second to end otherwise
		},
		Resources: store.Resources{CPUMilli: 500, MemoryBytes: 128 << 20},
		Device:    &store.DeviceRequest{API: device.APIOpenCL, MemoryBytes: gibibyte / 4, ComputeMilli: 100},
		Batch:     store.Batch{Policy: store.BatchNone, MaxSize: 1},
		Scale:     store.Scale{Max: 1, Idle: time.Hour, StartTimeout: patience},
	}
	if change != nil {
		change(&spec)
	}
	version := store.Version{Tenant: store.DefaultTenant, Function: mode, Number: "1", Spec: spec}
	h.Deploy(version)
	return scheduler.KeyOf(version)
}

// only gives the Instance of that id as it is listed.
func (h *harness) only(id string) executor.Instance {
	h.t.Helper()
	all := h.Instances()
	if len(all) != 1 || all[0].ID != id {
		h.t.Fatalf("instances are %+v, want %s alone", all, id)
	}
	return all[0]
}

// gone waits until nothing is left of any Instance but its log.
func (h *harness) gone() {
	h.t.Helper()
	poll(h.t, "no instance is listed", func() bool { return len(h.Instances()) == 0 })
	poll(h.t, "no sandbox is left", func() bool {
		left, err := h.sandbox.List(context.Background())
		return err == nil && len(left) == 0
	})
	poll(h.t, "no lease is left", func() bool { return len(h.broker.leases()) == 0 })
	poll(h.t, "no folder is left", func() bool {
		entries, err := os.ReadDir(filepath.Join(h.folder, "f"))
		return err == nil && len(entries) == 0
	})
}

// poll waits for what shows nowhere but in a listing.
func poll(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("never came: %s", what)
		}
	}
}

// infer asks an Instance for its name.
func infer(t *testing.T, endpoint executor.Endpoint) string {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///function", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return endpoint.Dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	answer, err := inference.NewGRPCInferenceServiceClient(connection).ModelInfer(t.Context(), &inference.ModelInferRequest{})
	if err != nil {
		t.Fatalf("infer on %s: %v", endpoint.Instance, err)
	}
	return answer.GetId()
}

var (
	errEndpoint = errors.New("connection reset")
	discard     = slog.New(slog.DiscardHandler)
)

type testWriter struct{ t *testing.T }

var _ io.Writer = testWriter{}

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Logf("%s", line)
	return len(line), nil
}
