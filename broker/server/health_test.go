package server_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/broker/client"
	"sluice/broker/server"
)

// A device whose management library reports that it broke takes no new lease. The library is played: the worker serves as it
// is, but its probe and its watch are a script's.
func TestBrokenDeviceIsNotLeasedAgain(t *testing.T) {
	script := filepath.Join(t.TempDir(), "worker")
	err := os.WriteFile(script, fmt.Appendf(nil, `#!/bin/sh
case "$3" in
probe) head -c 2 >/dev/null
  echo '{"devices": [{"id": "gpu", "name": "n", "vendor": "v", "platform": "p", "driver_version": "d", "api": "opencl", "kind": "gpu",
    "memory_bytes": 1000000, "max_alloc_bytes": 1000, "compute_units": 1, "platform_index": 0, "device_index": 0, "uuid": "GPU-1"}]}' ;;
watch) head -c 2 >/dev/null
  echo '{"uuid": "GPU-2", "kind": "lost", "code": 0, "fatal": true, "at": "2026-01-02T03:04:05Z"}'
  echo '{"uuid": "GPU-1", "kind": "xid", "code": 31, "fatal": false, "at": "2026-01-02T03:04:05Z"}'
  echo '{"uuid": "GPU-1", "kind": "xid", "code": 79, "fatal": true, "at": "2026-01-02T03:04:05Z"}'
  exec sleep 1000 ;;
*) exec %s "$@" ;;
esac
`, workerPath), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, func(c *server.Config) { c.WorkerPath = script })
	ctx := testContext(t)
	for {
		granted, err := b.Grant(ctx, request(1000))
		if err == nil {
			if err := b.Release(ctx, granted.ID); err != nil {
				t.Fatal(err)
			}
			continue // the event is on its way
		}
		if !errors.Is(err, client.ErrNoCapacity) || !strings.Contains(err.Error(), "gpu: is broken: xid 79 at 2026-01-02T03:04:05Z") {
			t.Fatalf("error %v, want that the device is broken", err)
		}
		break
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(b.server.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "sluice_device_health_events_total" {
			continue
		}
		if len(family.GetMetric()) != 1 || family.GetMetric()[0].GetCounter().GetValue() != 2 {
			t.Errorf("counted %v", family)
		}
		return
	}
	t.Error("health events are not counted")
}
