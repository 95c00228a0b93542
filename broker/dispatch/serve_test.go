package dispatch_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/broker/dispatch"
	"sluice/vdev/wire"
)

// build is where TestMain puts the shim and the programs.
var build string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "dispatch")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		build = dir
		return m.Run()
	}())
}

func compile(t *testing.T, output string, args ...string) string {
	t.Helper()
	path := filepath.Join(build, output)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := exec.Command("gcc", append([]string{"-std=gnu11", "-O1", "-g", "-pthread", "-o", path}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return path
}

func sources(t *testing.T, patterns ...string) []string {
	t.Helper()
	var all []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			t.Fatalf("no sources match %s: %v", p, err)
		}
		all = append(all, found...)
	}
	return all
}

// lease serves a Lease of memory on a socket and returns the environment that
// makes a program use it.
func lease(t *testing.T, memory uint64) (env []string, l *dispatch.Lease) {
	t.Helper()
	shim := compile(t, "libsluice-opencl.so", append([]string{"-fPIC", "-shared", "-fvisibility=hidden", "-I../../vdev/shim"},
		sources(t, "../../vdev/shim/*.c", "../../vdev/shim/gen/*.c")...)...)
	l, err := dispatch.NewLease(dispatch.Limits{MemoryBytes: memory})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	vendors := filepath.Join(dir, "vendors")
	if err := os.Mkdir(vendors, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(vendors, "sluice.icd"), []byte(shim+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		<-done
	})
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		defer close(done)
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if hello, err := wire.ReadHello(conn); err != nil || hello.ProtocolHash != wire.ProtocolHash {
					t.Errorf("greeting %+v: %v", hello, err)
					return
				}
				if err := l.Serve(ctx, conn, log); err != nil {
					t.Errorf("session: %v", err)
				}
			}()
		}
	}()
	return append(os.Environ(), "OCL_ICD_VENDORS="+vendors, "SLUICE_SOCKET="+socket, "SLUICE_TOKEN=t"), l
}

// run runs a program bare and through the shim.
func run(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestProgramsThroughTheShim(t *testing.T) {
	env, l := lease(t, 1<<30)
	for _, name := range []string{"vector_add", "fill_copy"} {
		program := compile(t, name, "../../examples/programs/"+name+".c", "-l:libOpenCL.so.1")
		out, err := run(t, env, program)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	if calls := l.Stats().Calls; calls == 0 {
		t.Error("no call was forwarded")
	}
}
