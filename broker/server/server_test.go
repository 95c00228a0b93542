package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/broker/server"
)

// workerPath is the real sluice-worker.
var workerPath string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-worker")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	workerPath = filepath.Join(dir, "sluice-worker")
	build := exec.Command("go", "build", "-o", workerPath, "sluice/cmd/sluice-worker")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building sluice-worker:", err)
		return 1
	}
	return m.Run()
}

// broker is a running daemon's broker, and a client of it over a real socket.
type broker struct {
	*client.Client
	server *server.Server
	state  string
	stop   func() // stops the broker, not its API's socket
}

func start(t *testing.T, change func(*server.Config)) broker {
	t.Helper()
	state, err := os.MkdirTemp("", "srv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	return startIn(t, state, change)
}

// startIn runs a broker over what an earlier one left in its state folder.
func startIn(t *testing.T, state string, change func(*server.Config)) broker {
	t.Helper()
	config := server.Config{StateFolder: state, WorkerPath: workerPath, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&config)
	}
	s, err := server.New(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()

	socket := filepath.Join(state, "sluice.sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	api := grpc.NewServer()
	s.Register(api)
	go api.Serve(listener)
	c, err := client.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		c.Close()
		api.Stop()
		if left := workerPIDs(t, state); len(left) > 0 {
			t.Errorf("workers are left: %v", left)
		}
	})
	return broker{c, s, state, stop}
}

// workerPIDs reads the pid files of the daemon's workers.
func workerPIDs(t *testing.T, state string) []int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(state, "workers", "*", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // ended since
		}
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.Fields(string(text))[0])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// workerOf finds the worker that serves a Lease by what its log says.
func (b broker) workerOf(t *testing.T, leaseID string) int {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(b.state, "workers", "*", "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), leaseID) {
			continue
		}
		pid, err := os.ReadFile(filepath.Join(filepath.Dir(path), "pid"))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.Fields(string(pid))[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	t.Fatalf("no worker's log names lease %s", leaseID)
	return 0
}

func request(memoryBytes uint64) lease.Request {
	return lease.Request{
		Tenant: "default", Holder: "run:1", API: device.APIOpenCL,
		Slices: []device.Slice{{MemoryBytes: memoryBytes}}, Duration: time.Minute,
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (b broker) grant(t *testing.T, r lease.Request) lease.Lease {
	t.Helper()
	granted, err := b.Grant(testContext(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return granted
}

func (b broker) freeBytes(t *testing.T) uint64 {
	t.Helper()
	devices, reason, err := b.Devices(testContext(t))
	if err != nil || len(devices) != 1 {
		t.Fatalf("devices %+v, reason %q, error %v", devices, reason, err)
	}
	return devices[0].FreeMemoryBytes
}

func (b broker) watch(t *testing.T) *client.Watcher {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	t.Cleanup(cancel)
	w, err := b.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func expect(t *testing.T, w *client.Watcher, kind lease.EventKind, id string) lease.Event {
	t.Helper()
	event, err := w.Next()
	if err != nil || event.Kind != kind || event.Lease.ID != id {
		t.Fatalf("event %+v, error %v; want %s of %s", event, err, kind, id)
	}
	if event.Lease.Token != "" {
		t.Error("an event carries the token")
	}
	return event
}

func TestLeaseLife(t *testing.T) {
	b := start(t, nil)
	ctx := testContext(t)
	devices, _, err := b.Devices(ctx)
	if err != nil || len(devices) != 1 || devices[0].Platform != "Portable Computing Language" {
		t.Fatalf("devices %+v, error %v", devices, err)
	}
	whole := devices[0].MemoryBytes
	w := b.watch(t)

	asked := request(64 << 20)
	asked.Slices[0].ComputeMilli = 250
	granted := b.grant(t, asked)
	want := device.Slice{DeviceID: devices[0].ID, MemoryBytes: 64 << 20, ComputeMilli: 250, Keeper: device.KeeperSoftware}
	if len(granted.Token) != 64 || len(granted.Slices) != 1 || granted.Slices[0] != want {
		t.Errorf("granted %+v", granted)
	}
	expect(t, w, lease.EventGranted, granted.ID)
	if free := b.freeBytes(t); free != whole-64<<20 {
		t.Errorf("%d bytes free of %d", free, whole)
	}
	listed, err := b.Leases(ctx)
	if err != nil || len(listed) != 1 || listed[0].ID != granted.ID || listed[0].Token != "" {
		t.Errorf("leases %+v, error %v", listed, err)
	}

	renewed, err := b.Renew(ctx, granted.ID, time.Hour)
	if err != nil || !renewed.ExpiresAt.After(granted.ExpiresAt) {
		t.Errorf("renewed %+v, error %v", renewed, err)
	}
	expect(t, w, lease.EventRenewed, granted.ID)

	pid := b.workerOf(t, granted.ID)
	if err := b.Release(ctx, granted.ID); err != nil {
		t.Fatal(err)
	}
	expect(t, w, lease.EventReleased, granted.ID)
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the released lease's worker %d: %v, want it gone", pid, err)
	}
	if free := b.freeBytes(t); free != whole {
		t.Errorf("%d bytes free of %d", free, whole)
	}
	if err := b.Release(ctx, granted.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("released twice: %v", err)
	}
	if _, err := b.Renew(ctx, granted.ID, time.Hour); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("renewed after release: %v", err)
	}
}

func TestExpiryEndsTheWorker(t *testing.T) {
	b := start(t, nil)
	w := b.watch(t)
	long := b.grant(t, request(1<<20)) // sets the timer to a later time first
	expect(t, w, lease.EventGranted, long.ID)
	asked := request(1 << 20)
	asked.Duration = time.Second
	short := b.grant(t, asked)
	expect(t, w, lease.EventGranted, short.ID)
	pid := b.workerOf(t, short.ID)
	expect(t, w, lease.EventExpired, short.ID)
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the expired lease's worker %d: %v, want it gone", pid, err)
	}
	if listed, err := b.Leases(testContext(t)); err != nil || len(listed) != 1 || listed[0].ID != long.ID {
		t.Errorf("leases %+v, error %v", listed, err)
	}
}

func TestKilledWorkerLosesItsLeaseAlone(t *testing.T) {
	b := start(t, nil)
	whole := b.freeBytes(t)
	lost, neighbour := b.grant(t, request(1<<20)), b.grant(t, request(2<<20))
	w := b.watch(t)
	pid := b.workerOf(t, lost.ID)
	killedAt := time.Now()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	event := expect(t, w, lease.EventLost, lost.ID)
	if noticed := time.Since(killedAt); noticed > time.Second {
		t.Errorf("the loss was noticed after %s", noticed)
	}
	if !strings.Contains(event.Reason, "SIGKILL") {
		t.Errorf("reason %q", event.Reason)
	}
	if free := b.freeBytes(t); free != whole-2<<20 {
		t.Errorf("%d bytes free of %d", free, whole)
	}
	if _, err := b.Renew(testContext(t), neighbour.ID, time.Minute); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
	b.grant(t, request(1<<20))
}

func TestRefusals(t *testing.T) {
	const poolBytes = 64 << 20
	b := start(t, func(c *server.Config) {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			t.Fatal(err)
		}
		c.CPUMemoryFraction = float64(poolBytes) / float64(info.Totalram*uint64(info.Unit))
	})
	free := b.freeBytes(t)
	if free > poolBytes || free < poolBytes-4096 {
		t.Errorf("the pool has %d bytes, want about %d", free, poolBytes)
	}
	b.grant(t, request(free-1000))
	_, err := b.Grant(testContext(t), request(1001))
	if !errors.Is(err, client.ErrNoCapacity) || !strings.Contains(err.Error(), "memory: 1001 bytes asked, 1000 of") {
		t.Errorf("error %v", err)
	}
	compute := request(1)
	compute.Slices[0].ComputeMilli = 600
	b.grant(t, compute)
	if _, err := b.Grant(testContext(t), compute); !errors.Is(err, client.ErrNoCapacity) || !strings.Contains(err.Error(), "compute") {
		t.Errorf("error %v", err)
	}
	two := request(1)
	two.Slices = append(two.Slices, two.Slices[0])
	if _, err := b.Grant(testContext(t), two); !errors.Is(err, client.ErrNoCapacity) || !strings.Contains(err.Error(), "no driver has as many devices") {
		t.Errorf("two slices of a pool of one device: %v", err)
	}
	two.Slices[0].DeviceID, two.Slices[1].DeviceID = "opencl-0-0", "opencl-0-0"
	if _, err := b.Grant(testContext(t), two); !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two slices of one device: %v", err)
	}
	if _, err := b.Renew(testContext(t), "nobody", time.Minute); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("unknown lease: %v", err)
	}
}

// TestSlicesOfAnEndedLeaseAreWaitedFor asks for the whole pool when the Lease that has it has ended and its worker still goes.
func TestSlicesOfAnEndedLeaseAreWaitedFor(t *testing.T) {
	b := start(t, nil)
	free := b.freeBytes(t)
	held := b.grant(t, request(free))
	for range 10 {
		released := make(chan error, 1)
		go func() { released <- b.Release(testContext(t), held.ID) }()
		for {
			leases, err := b.Leases(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			if len(leases) == 0 {
				break
			}
		}
		held = b.grant(t, request(free))
		if err := <-released; err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrokenDriverLeavesAnEmptyPool(t *testing.T) {
	b := start(t, func(c *server.Config) { c.WorkerPath = "/bin/false" })
	devices, reason, err := b.Devices(testContext(t))
	if err != nil || len(devices) != 0 || !strings.Contains(reason, "exit code 1") {
		t.Errorf("devices %+v, reason %q, error %v", devices, reason, err)
	}
	if _, err := b.Grant(testContext(t), request(1)); !errors.Is(err, client.ErrNoCapacity) {
		t.Errorf("error %v", err)
	}
}

func TestGrantsAtOnceEachGetAWorker(t *testing.T) {
	b := start(t, nil)
	const n = 6
	type answer struct {
		granted lease.Lease
		err     error
	}
	answers := make(chan answer, n)
	ctx := testContext(t)
	for range n {
		go func() {
			granted, err := b.Grant(ctx, request(1<<20))
			answers <- answer{granted, err}
		}()
	}
	tokens := map[string]bool{}
	for range n {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		tokens[a.granted.Token] = true
	}
	if len(tokens) != n {
		t.Errorf("%d tokens for %d leases", len(tokens), n)
	}
}

// TestGivenUpGrantReturnsItsSlice has callers who leave while their lease waits for a worker.
func TestGivenUpGrantReturnsItsSlice(t *testing.T) {
	b := start(t, nil)
	whole := b.freeBytes(t)
	w := b.watch(t)
	for range 4 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		if _, err := b.Grant(ctx, request(1<<20)); err != nil {
			t.Logf("given up: %v", err)
		}
		cancel()
	}
	// Those that were quicker than their caller are given back; then everything can be had again.
	for _, l := range mustLeases(t, b) {
		if err := b.Release(testContext(t), l.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for {
		granted, err := b.Grant(testContext(t), request(whole))
		if err == nil {
			if err := b.Release(testContext(t), granted.ID); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, client.ErrNoCapacity) {
			t.Fatal(err)
		}
		if _, err := w.Next(); err != nil { // until something more is freed
			t.Fatal(err)
		}
	}
}

// Who waits for capacity hears of slices that a Grant gives back because there was no worker in time.
func TestAbandonedGrantIsTold(t *testing.T) {
	b := start(t, func(c *server.Config) { c.StartTimeout = time.Nanosecond })
	w := b.watch(t)
	if granted, err := b.Grant(testContext(t), request(1<<20)); err == nil {
		t.Fatalf("granted %s without time for a worker", granted.ID)
	}
	event, err := w.Next()
	if err != nil || event.Kind != lease.EventReleased || event.Lease.Holder != "" {
		t.Errorf("watchers hear %+v, %v", event, err)
	}
}

func mustLeases(t *testing.T, b broker) []lease.Lease {
	t.Helper()
	leases, err := b.Leases(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return leases
}

func TestStoppingBrokerEndsLeasesAndWatches(t *testing.T) {
	b := start(t, nil)
	w := b.watch(t)
	granted := b.grant(t, request(1<<20))
	expect(t, w, lease.EventGranted, granted.ID)
	b.stop()
	if event := expect(t, w, lease.EventLost, granted.ID); !strings.Contains(event.Reason, "daemon stops") {
		t.Errorf("reason %q", event.Reason)
	}
	if _, err := w.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the broker's end: %v, want EOF", err)
	}
	if _, err := b.Grant(testContext(t), request(1)); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("a lease of a stopped broker: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	b := start(t, nil)
	kept, lost, released := b.grant(t, request(1<<20)), b.grant(t, request(1<<20)), b.grant(t, request(1<<20))
	w := b.watch(t)
	if err := unix.Kill(b.workerOf(t, lost.ID), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, w, lease.EventLost, lost.ID)
	if err := b.Release(testContext(t), released.ID); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(b.server.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"sluice_leases default":                               1,
		"sluice_leases_granted_total":                         3,
		"sluice_leases_ended_total lost":                      1,
		"sluice_leases_ended_total released":                  1,
		"sluice_leases_ended_total expired":                   0,
		"sluice_sessions_total":                               0,
		"sluice_lease_sessions run:1 " + kept.ID + " default": 0,
		"sluice_device_memory_leased_bytes opencl-0-0":        1 << 20,
	} {
		if value, present := got[name]; !present || value != want {
			t.Errorf("%s is %v, want %v", name, value, want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}
