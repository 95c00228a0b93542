package process_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/process"
	"sluice/runtime/sandbox/sandboxtest"
)

func open(t *testing.T, state, library string) sandbox.Sandbox {
	t.Helper()
	folder, err := inject.Install(state, library)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := process.New(filepath.Join(state, "process"), folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestConformance(t *testing.T) {
	probe := sandboxtest.BuildProbe(t)
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Fixture {
		state := t.TempDir()
		return sandboxtest.Fixture{
			Sandbox: open(t, state, probe),
			Reopen:  func(t *testing.T) sandbox.Sandbox { return open(t, state, probe) },
			Program: []string{probe},
		}
	})
}

func TestWarnsThatNothingIsolates(t *testing.T) {
	var log strings.Builder
	_, err := process.New(t.TempDir(), inject.Folder{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil || !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "NOTHING ISOLATES") {
		t.Errorf("%v; log: %s", err, &log)
	}
}

// A record names a process by number and start time: a later process of that number is not ours to kill.
func TestAnotherProcessIsNotAdopted(t *testing.T) {
	state := t.TempDir()
	probe := sandboxtest.BuildProbe(t)
	b := sandboxtest.NewBench(t, sandboxtest.Fixture{Sandbox: open(t, state, probe), Program: []string{probe}})
	instance, _ := b.RunReady(b.Spec("hold"), 1)

	path := filepath.Join(state, "process", instance.Identity().ID+".json")
	content, err := os.ReadFile(path)
	b.Must(err)
	edited := strings.Replace(string(content), `"start_ticks":`, `"start_ticks":1`, 1)
	if edited == string(content) {
		t.Fatalf("record is %s", content)
	}
	b.Must(os.WriteFile(path, []byte(edited), 0o600))

	found, err := open(t, state, probe).List(b.Context)
	b.Must(err)
	if len(found) != 1 {
		t.Fatalf("found %d instances", len(found))
	}
	b.WantState(found[0], sandbox.Stopped)
	b.Must(found[0].Kill(b.Context))
	b.Must(found[0].Delete(b.Context))
	if found[0].PID() != 0 {
		t.Errorf("pid %d", found[0].PID())
	}
	b.WantState(instance, sandbox.Running)
	b.Must(instance.Kill(b.Context))
}

func TestBadRecordsAreLeftOut(t *testing.T) {
	state := t.TempDir()
	probe := sandboxtest.BuildProbe(t)
	opened := open(t, state, probe)
	b := sandboxtest.NewBench(t, sandboxtest.Fixture{Sandbox: opened, Program: []string{probe}})
	spec := b.Spec("hold")
	b.Create(spec)
	for name, content := range map[string]string{
		"text.json": "x", "other.json": `{"id":"another"}`, "huge.json": strings.Repeat(" ", 1<<20), "left.json.new": "{}",
	} {
		b.Must(os.WriteFile(filepath.Join(state, "process", name), []byte(content), 0o600))
	}
	found, err := opened.List(b.Context)
	b.Must(err)
	if len(found) != 1 || found[0].Identity().ID != spec.ID {
		t.Errorf("found %v", found)
	}
}

// A program that was started, but not recorded before the daemon died, is found by its environment and ended.
func TestUnrecordedProcessIsEnded(t *testing.T) {
	state := t.TempDir()
	probe := sandboxtest.BuildProbe(t)
	b := sandboxtest.NewBench(t, sandboxtest.Fixture{Sandbox: open(t, state, probe), Program: []string{probe}})
	instance, _ := b.RunReady(b.Spec("hold"), 1)
	neighbour, _ := b.RunReady(b.Spec("hold"), 1)
	path := filepath.Join(state, "process", instance.Identity().ID+".json")
	content, err := os.ReadFile(path)
	b.Must(err)
	before, _, _ := strings.Cut(string(content), `,"pid":`)
	b.Must(os.WriteFile(path, []byte(before+"}"), 0o600))

	found, err := open(t, state, probe).List(b.Context)
	b.Must(err)
	if len(found) != 2 {
		t.Fatalf("found %d instances", len(found))
	}
	if exit, err := instance.Wait(b.Context); err != nil || exit.Code != 128+9 {
		t.Errorf("the unrecorded program ended with %+v, %v", exit, err)
	}
	b.WantState(neighbour, sandbox.Running)
	b.Must(neighbour.Kill(b.Context))
}
