package containerd_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sluice/runtime/image"
	"sluice/runtime/inject"
	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/containerd"
	"sluice/runtime/sandbox/containerd/containerdtest"
	"sluice/runtime/sandbox/sandboxtest"
)

var daemon *containerdtest.Daemon // one for all tests; each has a namespace of its own

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "ctd")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if daemon, err = containerdtest.Start(dir); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, daemon.Stop()
}

var worlds atomic.Int64

// world is a namespace with the probe's image, and a state folder.
type world struct {
	namespace string
	folder    inject.Folder
	image     image.Imported
}

func newWorld(t *testing.T, probe string) world {
	t.Helper()
	w := world{namespace: fmt.Sprintf("test-%d", worlds.Add(1))}
	var err error
	if w.folder, err = inject.Install(t.TempDir(), probe); err != nil {
		t.Fatal(err)
	}
	w.image = w.load(t, probe, "probe:test")
	return w
}

// load makes an image of a folder that holds nothing but the program.
func (w world) load(t *testing.T, program, name string) image.Imported {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "probe"), content, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := image.Build(context.Background(), dir, name, &archive); err != nil {
		t.Fatal(err)
	}
	imported, err := image.Import(context.Background(), w.open(t).Client(), &archive)
	if err != nil {
		t.Fatal(err)
	}
	return imported
}

func (w world) open(t *testing.T) *containerd.Sandbox {
	t.Helper()
	opened, err := containerd.Connect(context.Background(), daemon.Address, w.namespace, w.folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func (w world) fixture(t *testing.T) sandboxtest.Fixture {
	return sandboxtest.Fixture{
		Sandbox: w.open(t),
		Reopen:  func(t *testing.T) sandbox.Sandbox { return w.open(t) },
		Image:   w.image.Name, Program: []string{"/app/probe"}, FunctionDirSeen: "/run/function",
	}
}

func TestConformance(t *testing.T) {
	probe := sandboxtest.BuildProbe(t)
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Fixture { return newWorld(t, probe).fixture(t) })
}
