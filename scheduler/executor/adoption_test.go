package executor_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sluice/broker/device"
	"sluice/broker/lease"
	"sluice/runtime/sandbox"
	"sluice/scheduler/executor"
	"sluice/store"
)

// TestNextProcessAdoptsInstances has a process leave, and the next one go on with the same Instance and Lease.
func TestNextProcessAdoptsInstances(t *testing.T) {
	h := newHarness(t)
	whole := func(spec *store.FunctionSpec) { spec.Device.MemoryBytes = gibibyte } // no room for a second one
	key := h.deploy("serve", whole)
	h.Demand(key, 1, 0)
	first := h.only(h.routes.one(t).Instance)
	h.Leave()
	h.stop()

	h.fresh()
	h.deploy("serve", whole)
	h.Demand(key, 1, 0)
	h.run()
	endpoint := h.routes.one(t)
	again := h.only(first.ID)
	if again.PID != first.PID || again.LeaseID != first.LeaseID || again.Target != first.Target || again.LogPath != first.LogPath ||
		again.State != executor.Ready {
		t.Errorf("adopted\n%+v, was\n%+v", again, first)
	}
	if again.ColdStart.Total() != 0 {
		t.Errorf("an adopted instance had a cold start: %+v", again.ColdStart)
	}
	if name := infer(t, endpoint); name != first.ID {
		t.Errorf("%s answers as %q", first.ID, name)
	}
	renewals := h.broker.renewed()
	poll(t, "the adopted lease is renewed", func() bool { return h.broker.renewed() > renewals })
	// Its end is noticed, and it is replaced.
	if err := syscall.Kill(again.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.routes.one(t, first.ID)
	h.Remove(key)
	h.gone()
}

// TestLeaveEndsWhatIsNotReady leaves while one Instance serves and another still starts.
func TestLeaveEndsWhatIsNotReady(t *testing.T) {
	h := newHarness(t)
	ready, starting := h.deploy("serve", nil), h.deploy("never", nil)
	h.Demand(ready, 1, 0)
	h.Demand(starting, 1, 0)
	kept := h.routes.one(t).Instance
	poll(t, "two instances", func() bool { return len(h.Instances()) == 2 })
	h.Leave()
	h.stop()
	left, err := h.sandbox.List(context.Background())
	if err != nil || len(left) != 1 || left[0].Identity().ID != kept {
		t.Errorf("left: %v, %v, want %s alone", left, err, kept)
	}
	h.fresh()
	h.run() // nothing is deployed any more
	poll(t, "nothing is left", func() bool {
		found, err := h.sandbox.List(t.Context())
		return err == nil && len(found) == 0 && len(h.broker.leases()) == 0
	})
	h.gone()
}

// TestDoesNotAdoptWhatIsOfNoUse has an earlier process leave one Instance of every kind.
func TestDoesNotAdoptWhatIsOfNoUse(t *testing.T) {
	h := prepare(t)
	grant := func(holder string) *lease.Lease {
		granted, err := h.client.Grant(t.Context(), lease.Request{
			Tenant: "default", Holder: holder, API: device.APIOpenCL, Duration: time.Hour,
			Slices: []device.Slice{{DeviceID: "d0", MemoryBytes: gibibyte / 8}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return &granted
	}
	earlier := h.openSandbox()
	left := func(id, mode, version string, held *lease.Lease, start bool) {
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(h.folder, "f", id)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		made, err := earlier.Create(t.Context(), sandbox.Spec{
			ID: id, Tenant: "default", Function: mode, Version: version, Command: []string{program},
			Env: map[string]string{envMode: mode}, FunctionDir: folder, LogPath: filepath.Join(h.folder, id+".log"), Lease: held,
		})
		if err == nil && start {
			err = made.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ended := grant("ended-1")
	left("good-1", "serve", "1", grant("good-1"), true)
	left("version-1", "serve", "0", grant("version-1"), true)
	left("ended-1", "serve", "1", ended, true)
	left("other-1", "serve", "1", grant("another"), true)
	left("none-1", "serve", "1", nil, true)
	left("created-1", "serve", "1", grant("created-1"), false)
	left("exits-1", "exit", "1", grant("exits-1"), true)
	left("program-1", "wrong", "1", grant("program-1"), true)
	if err := h.client.Release(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	grant("never-made-1")
	run := grant(lease.RunHolder + "1") // is not ours to end
	if err := os.Mkdir(filepath.Join(h.folder, "f", "stray"), 0o700); err != nil {
		t.Fatal(err)
	}

	serve := h.deploy("serve", nil)
	h.deploy("exit", nil)
	h.deploy("wrong", nil)
	h.Demand(serve, 1, 0)
	h.run()
	if endpoint := h.routes.one(t); endpoint.Instance != "good-1" {
		t.Errorf("%s serves, want good-1", endpoint.Instance)
	}
	poll(t, "one instance is left", func() bool {
		found, err := h.sandbox.List(t.Context())
		return err == nil && len(found) == 1 && len(h.Instances()) == 1
	})
	held := map[string]bool{}
	for _, l := range h.broker.leases() {
		held[l.Holder] = true
	}
	if len(held) != 2 || !held["good-1"] || !held[run.Holder] {
		t.Errorf("leases of %v are left, want those of good-1 and of the run", held)
	}
	h.Remove(serve)
	poll(t, "no instance is left", func() bool { return len(h.Instances()) == 0 })
	if err := h.client.Release(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	h.gone()
}

// TestSweepDeletesWhatNobodyKnows has a Sandbox appear that no Instance owns, as a start leaves one that fails while
// containerd is away.
func TestSweepDeletesWhatNobodyKnows(t *testing.T) {
	h := newHarness(t)
	key := h.deploy("serve", nil)
	h.Demand(key, 1, 0)
	kept := h.routes.one(t).Instance
	stray := func(id string) {
		_, err := h.sandbox.Create(t.Context(), sandbox.Spec{
			ID: id, Tenant: "default", Function: "stray", Version: "1", Command: []string{"/bin/true"},
			FunctionDir: h.folder, LogPath: filepath.Join(h.folder, "stray.log"),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stray("stray-1")
	executor.SweepOnce(h.Executor, t.Context())
	if left, err := h.sandbox.List(t.Context()); err != nil || len(left) != 1 || left[0].Identity().ID != kept {
		t.Errorf("left: %v, %v, want %s alone", left, err, kept)
	}
	stray("stray-2")
	h.stop() // Run's end looks once more
	if left, err := h.sandbox.List(context.Background()); err != nil || len(left) != 0 {
		t.Errorf("left after the end: %v, %v", left, err)
	}
}
