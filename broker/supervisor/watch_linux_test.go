package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/broker/device"
)

// watching makes a Supervisor whose worker is a script that waits at the gate as a worker does.
func watching(t *testing.T, script string) *Supervisor {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "worker")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nhead -c 2 >/dev/null\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{WorkerPath: program, Folder: filepath.Join(folder, "workers"), Warm: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Events arrive while the worker runs, and the worker ends with the watch.
func TestWatchReportsEvents(t *testing.T) {
	s := watching(t, `echo '{"uuid":"GPU-1","kind":"xid","code":79,"fatal":true,"at":"2026-01-02T03:04:05Z"}'
exec sleep 1000
`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen []device.HealthEvent
	err := s.Watch(ctx, func(e device.HealthEvent) {
		seen = append(seen, e)
		cancel()
	})
	if err != nil || len(seen) != 1 || seen[0].UUID != "GPU-1" || seen[0].Kind != device.HealthXID || seen[0].Code != 79 || !seen[0].Fatal {
		t.Errorf("saw %+v, %v", seen, err)
	}
	if len(s.processes) != 0 {
		t.Error("the worker is still there")
	}
}

// A worker that has nothing to watch is not started again.
func TestWatchOfNothingEnds(t *testing.T) {
	s := watching(t, "exit 0\n")
	if err := s.Watch(t.Context(), func(device.HealthEvent) { t.Error("an event") }); err != nil {
		t.Error(err)
	}
}

func TestWatchDistrustsItsWorker(t *testing.T) {
	for says, script := range map[string]string{
		"malformed event": "echo nonsense\nexec sleep 1000\n",
		"of kind":         `echo '{"uuid":"GPU-1","kind":"other"}'` + "\nexec sleep 1000\n",
		"token too long":  "head -c 5000 /dev/zero\nexec sleep 1000\n",
		"exit code 3":     "exit 3\n",
	} {
		err := watching(t, script).watchOnce(t.Context(), func(device.HealthEvent) { t.Error("an event") })
		if !errors.Is(err, ErrWatch) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want it to say %q", err, says)
		}
	}
}
