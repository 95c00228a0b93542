package executor_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/scheduler"
	"sluice/scheduler/executor"
	"sluice/store"
)

func TestFromZeroToOneAndBack(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", func(spec *store.FunctionSpec) { spec.Scale.Idle = 50 * time.Millisecond })
	h.Demand(key, 1, 0)
	endpoint := h.routes.one(t)
	if got := infer(t, endpoint); got != endpoint.Instance {
		t.Errorf("instance %s answers as %q", endpoint.Instance, got)
	}
	if endpoint.Concurrency != 2 || endpoint.Target == "" {
		t.Errorf("endpoint is %+v", endpoint)
	}
	listed := h.only(endpoint.Instance)
	cold := listed.ColdStart
	if cold.Lease <= 0 || cold.Create <= 0 || cold.Start <= 0 || cold.Ready <= 0 || cold.Total() <= cold.Ready {
		t.Errorf("cold start is %+v", cold)
	}
	if listed.State != executor.Ready || listed.Key != key || listed.PID == 0 || listed.ReadyAt.IsZero() {
		t.Errorf("listed as %+v", listed)
	}
	leases := h.broker.leases()
	if len(leases) != 1 || leases[0].ID != listed.LeaseID || leases[0].Holder != endpoint.Instance ||
		leases[0].Tenant != key.Tenant || leases[0].MemoryBytes() != gibibyte/4 || leases[0].Slices[0].ComputeMilli != 100 || leases[0].Devices() != "d0" {
		t.Errorf("leases are %+v", leases)
	}
	h.Demand(key, 0, 1)
	h.Demand(key, 0, 0)
	h.routes.none(t)
	h.gone()
	if err := syscall.Kill(listed.PID, 0); err == nil {
		t.Errorf("process %d is still there", listed.PID)
	}
	if text, err := os.ReadFile(listed.LogPath); err != nil || !strings.Contains(string(text), "this is the log") {
		t.Errorf("log is %q, %v", text, err)
	}
	h.Demand(key, 1, 0)
	if second := h.routes.one(t); second.Instance == endpoint.Instance {
		t.Errorf("id %s was used twice", second.Instance)
	}
}

func TestScalesToMaximum(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", func(spec *store.FunctionSpec) { spec.Scale.Max = 3 })
	h.Demand(key, 100, 0)
	h.routes.await(t, "three instances", func(endpoints map[string]executor.Endpoint, _ []error) bool { return len(endpoints) == 3 })
	poll(t, "three instances are counted ready", func() bool {
		status := h.Functions()
		return len(status) == 1 && status[0].Ready == 3 && status[0].Starting == 0 && status[0].Queued == 100
	})
	h.Remove(key)
	h.routes.none(t)
	h.gone()
	poll(t, "the function is forgotten", func() bool { return len(h.Functions()) == 0 })
}

func TestFunctionWithoutDeviceTakesNoLease(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", func(spec *store.FunctionSpec) { spec.Device = nil })
	h.Demand(key, 1, 0)
	endpoint := h.routes.one(t)
	if listed := h.only(endpoint.Instance); listed.LeaseID != "" || len(h.broker.leases()) != 0 {
		t.Errorf("listed as %+v, leases %+v", listed, h.broker.leases())
	}
}

func TestReplacesWhatFails(t *testing.T) {
	for name, fail := range map[string]func(*harness, scheduler.Key, executor.Instance){
		"process killed": func(h *harness, _ scheduler.Key, i executor.Instance) { kill(h.t, i.PID) },
		"lease lost":     func(h *harness, _ scheduler.Key, i executor.Instance) { h.broker.lose(i.LeaseID) },
		"lost unseen":    func(h *harness, _ scheduler.Key, i executor.Instance) { h.broker.interrupt(i.LeaseID) },
		"endpoint unreachable": func(h *harness, key scheduler.Key, i executor.Instance) {
			h.EndpointFailed(key, i.ID, errEndpoint)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			key := h.deploy("serve", nil)
			h.Demand(key, 1, 0)
			first := h.routes.one(t)
			fail(h, key, h.only(first.Instance))
			second := h.routes.one(t, first.Instance)
			if got := infer(t, second); got != second.Instance {
				t.Errorf("the replacement %s answers as %q", second.Instance, got)
			}
			poll(t, "the failed instance is gone", func() bool { return len(h.Instances()) == 1 })
			status := h.Functions()[0]
			wanted := map[string]string{
				"process killed": "status 137", "lease lost": "SIGKILL", "lost unseen": "does not know it", "endpoint unreachable": "connection reset",
			}[name]
			if !strings.Contains(status.Failure, wanted) {
				t.Errorf("reason is %q, want one with %q", status.Failure, wanted)
			}
			if leases := h.broker.leases(); len(leases) != 1 || leases[0].Holder != second.Instance {
				t.Errorf("leases are %+v", leases)
			}
		})
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestFailedStartIsRepeated(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("flaky", nil)
	h.Demand(key, 1, 0)
	h.routes.one(t)
	if failure := h.Functions()[0].Failure; !strings.Contains(failure, "phase ready: program ended with status 3") ||
		!strings.Contains(failure, "this is the log, [31m with colour | panic: no weights") {
		t.Errorf("reason is %q", failure)
	}
}

func TestRefusesWhatCannotStart(t *testing.T) {
	for mode, test := range map[string]struct {
		change func(*store.FunctionSpec)
		wanted string
	}{
		"exit":    {nil, "panic: no weights"},
		"never":   {func(spec *store.FunctionSpec) { spec.Scale.StartTimeout = 300 * time.Millisecond }, "not ready within start_timeout_s, which is 300ms"},
		"wrong":   {func(spec *store.FunctionSpec) { spec.Scale.StartTimeout = 3 * time.Second }, `no model "wrong"`},
		"missing": {func(spec *store.FunctionSpec) { spec.Command = []string{"/no/such/program"} }, "/no/such/program"},
		"large":   {func(spec *store.FunctionSpec) { spec.Device.MemoryBytes = 2 * gibibyte }, "needs 2048Mi"},
	} {
		t.Run(mode, func(t *testing.T) {
			h := newHarness(t)
			key := h.deploy(mode, test.change)
			h.Demand(key, 1, 0)
			if cause := h.routes.cause(t); !strings.Contains(cause.Error(), test.wanted) {
				t.Errorf("refused because of %q, want %q", cause, test.wanted)
			}
			h.Demand(key, 0, 0)
			h.gone()
		})
	}
}

func TestRenewsLease(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", nil)
	h.Demand(key, 1, 0)
	first := h.routes.one(t)
	poll(t, "two renewals", func() bool { return h.broker.renewed() >= 2 })
	if h.routes.one(t).Instance != first.Instance {
		t.Error("the instance was replaced")
	}
}

func TestStartMayTakeLongerThanALease(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("slow", nil)
	h.Demand(key, 1, 0)
	h.routes.one(t)
	if failure := h.Functions()[0].Failure; failure != "" || h.broker.granted() != 1 {
		t.Errorf("%d leases were granted, the failure is %q", h.broker.granted(), failure)
	}
}

func TestLeaseThatCannotBeRenewedEndsTheInstance(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", nil)
	h.Demand(key, 1, 0)
	first := h.routes.one(t)
	h.broker.setDeaf(true)
	h.routes.one(t, first.Instance)
	h.broker.setDeaf(false)
	if failure := h.Functions()[0].Failure; !strings.Contains(failure, "lease lost") {
		t.Errorf("reason is %q", failure)
	}
}

func TestWaitsForWhatOthersHold(t *testing.T) {
	h := newHarness(t)
	held, err := h.client.Grant(t.Context(), lease.Request{
		Tenant: "default", Holder: "run:1", API: device.APIOpenCL, Duration: time.Hour,
		Slices: []device.Slice{{DeviceID: "d0", MemoryBytes: gibibyte}},
	})
	if err != nil {
		t.Fatal(err)
	}
	key := h.deploy("serve", nil)
	h.Demand(key, 1, 0)
	poll(t, "the function waits", func() bool {
		status := h.Functions()
		return len(status) == 1 && strings.Contains(status[0].Waiting, "device d0 memory: needs 256Mi, 0Mi of 1024Mi free")
	})
	if err := h.client.Release(t.Context(), held.ID); err != nil {
		t.Fatal(err)
	}
	h.routes.one(t)
}

func TestRunEndsEverything(t *testing.T) {
	h := newHarness(t)
	ready := h.deploy("serve", func(spec *store.FunctionSpec) { spec.Scale.Max = 2 })
	starting := h.deploy("never", nil)
	h.Demand(ready, 10, 0)
	h.Demand(starting, 1, 0)
	h.routes.await(t, "two instances", func(endpoints map[string]executor.Endpoint, _ []error) bool { return len(endpoints) == 2 })
	poll(t, "three instances", func() bool { return len(h.Instances()) == 3 })
	h.stop()
	h.routes.none(t)
	h.gone()
}

func TestProgramThatDoesNotListenIsKilled(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("stuck", nil)
	h.Demand(key, 1, 0)
	pid := h.only(h.routes.one(t).Instance).PID
	h.Remove(key)
	h.gone()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d is still there", pid)
	}
}

func TestClearsWhatAnEarlierRunLeft(t *testing.T) {
	h := prepare(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	held, err := h.client.Grant(t.Context(), lease.Request{
		Tenant: "default", Holder: "old-1", API: device.APIOpenCL, Duration: time.Hour,
		Slices: []device.Slice{{DeviceID: "d0", MemoryBytes: gibibyte}},
	})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(h.folder, "f", "old-1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	old, err := h.openSandbox().Create(t.Context(), sandbox.Spec{
		ID: "old-1", Tenant: "default", Function: "old", Version: "1", Command: []string{program},
		Env: map[string]string{envMode: "serve"}, FunctionDir: folder, LogPath: filepath.Join(h.folder, "old.log"), Lease: &held,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.run()
	if exit, err := old.Wait(t.Context()); err != nil || exit.Code == 0 {
		t.Errorf("the old instance ended with %+v, %v", exit, err)
	}
	poll(t, "the old lease is released", func() bool { return len(h.broker.leases()) == 0 })
	h.gone()
	// All of the device is free again.
	key := h.deploy("serve", func(spec *store.FunctionSpec) { spec.Device.MemoryBytes = gibibyte })
	h.Demand(key, 1, 0)
	h.routes.one(t)
}

func TestMetrics(t *testing.T) {
	h := prepare(t)
	registry := prometheus.NewPedanticRegistry()
	var err error
	h.Executor, err = executor.New(executor.Config{
		Node:           scheduler.Node{Name: "n", CPUMilli: 4000, MemoryBytes: 4 * gibibyte},
		FunctionFolder: filepath.Join(h.folder, "f"), LogFolder: filepath.Join(h.folder, "logs"),
		Sandbox: h.sandbox, Broker: h.client, Routes: h.routes, Log: discard, Metrics: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.run()
	key := h.deploy("serve", nil)
	h.Demand(key, 1, 0)
	h.routes.one(t)
	poll(t, "the instance counts as ready", func() bool {
		counted := series(t, registry, "sluice_instances")
		return len(counted) == 1 && strings.Contains(counted[0], `value:"ready"`) && strings.Contains(counted[0], "gauge:{value:1}")
	})
	poll(t, "each of 4 phases and the total has a cold start series", func() bool {
		return len(series(t, registry, "sluice_cold_start_seconds")) == 5
	})
	h.Remove(key)
	h.gone()
	if counted := series(t, registry, "sluice_instances"); len(counted) != 0 {
		t.Errorf("instance series are %q; want none", counted)
	}
}

// series gives the text of each series of that name.
func series(t *testing.T, registry *prometheus.Registry, name string) []string {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			found = append(found, strings.ReplaceAll(metric.String(), " ", ""))
		}
	}
	return found
}
