package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
		// The driver keeps compiled kernels here; one folder for all runs saves most of the time.
		if err := os.Setenv("POCL_CACHE_DIR", filepath.Join(dir, "cache")); err != nil {
			panic(err)
		}
		// Two devices of one kind, of which most leases have one.
		if err := os.Setenv("POCL_DEVICES", "pthread pthread"); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// compile makes a program or library in the build folder, once.
func compile(t *testing.T, output string, args ...string) string {
	t.Helper()
	return compileWith(t, "gcc", output, args...)
}

func compileWith(t *testing.T, compiler, output string, args ...string) string {
	t.Helper()
	path := filepath.Join(build, output)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	out, err := exec.Command(compiler, append([]string{"-std=gnu11", "-O1", "-g", "-pthread", "-o", path}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", compiler, err, out)
	}
	return path
}

// shimOf compiles the shim with flags and returns its path.
func shimOf(t *testing.T, name string, flags ...string) string {
	t.Helper()
	args := append([]string{"-fPIC", "-shared", "-fvisibility=hidden", "-I../../vdev/shim"}, flags...)
	for _, pattern := range []string{"../../vdev/shim/*.c", "../../vdev/shim/gen/*.c"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no sources match %s: %v", pattern, err)
		}
		args = append(args, found...)
	}
	return compile(t, "libsluice-opencl-"+name+".so", args...)
}

// sessionTimeout bounds a session's end when its program is gone.
const sessionTimeout = 20 * time.Second

// server serves a Lease on a socket to programs that use one shim.
type server struct {
	lease   *dispatch.Lease
	socket  string
	vendors string
	cancel  context.CancelFunc // ends every session

	sessions atomic.Int64 // under way; a WaitGroup may not be waited for while the first is added
	mutex    sync.Mutex
	logged   strings.Builder
	failures []error
}

// serve serves a Lease of memory until the test ends. A session that ends with
// an error fails the test unless it takes the error by failed.
func serve(t *testing.T, memory uint64, shim string) *server {
	t.Helper()
	return serveWith(t, dispatch.Limits{Devices: []dispatch.Device{{MemoryBytes: memory}}}, shim)
}

func serveWith(t *testing.T, limits dispatch.Limits, shim string) *server {
	t.Helper()
	limits.HeaderFolder = t.TempDir()
	l, err := dispatch.NewLease(limits)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &server{lease: l, socket: filepath.Join(dir, "s"), vendors: filepath.Join(dir, "vendors")}
	if err := os.Mkdir(s.vendors, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.vendors, "sluice.icd"), []byte(shim+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		<-done
		s.over(t)
		l.Close()
		for _, err := range s.failed() {
			t.Errorf("session: %v", err)
		}
	})
	go func() {
		defer close(done)
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			s.sessions.Add(1)
			go func() {
				defer s.sessions.Add(-1)
				s.session(ctx, conn)
			}()
		}
	}()
	return s
}

func (s *server) session(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	hello, err := wire.ReadHello(conn)
	if err == nil && hello.ProtocolHash != wire.ProtocolHash {
		err = errors.New("the shim has another protocol hash")
	}
	if err == nil {
		err = s.lease.Serve(ctx, conn, slog.New(slog.NewTextHandler(s, nil)))
	}
	if err != nil {
		s.mutex.Lock()
		s.failures = append(s.failures, err)
		s.mutex.Unlock()
	}
}

// Write takes what sessions log.
func (s *server) Write(line []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.logged.Write(line)
}

// failed takes the errors that sessions have ended with.
func (s *server) failed() []error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	failures := s.failures
	s.failures = nil
	return failures
}

// over waits until every session has returned.
func (s *server) over(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(sessionTimeout); s.sessions.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("a session does not end though its program has")
			return
		}
	}
}

// environment makes a program use the lease.
func (s *server) environment() []string {
	return []string{"OCL_ICD_VENDORS=" + s.vendors, "SLUICE_SOCKET=" + s.socket, "SLUICE_TOKEN=t"}
}

// ends waits until every session is over, and demands that they left nothing.
func (s *server) ends(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(sessionTimeout)
	for {
		stats := s.lease.Stats()
		if stats.Sessions == 0 && stats.MemoryBytes == 0 {
			s.over(t)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions and %d bytes stay behind", stats.Sessions, stats.MemoryBytes)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestExamplePrograms(t *testing.T) {
	s := serve(t, 1<<30, shimOf(t, "plain"))
	for _, name := range []string{"vector_add", "fill_copy"} {
		program := compile(t, name, "../../examples/programs/"+name+".c", "-l:libOpenCL.so.1")
		runLogged(t, s.environment(), program)
	}
	if calls := s.lease.Stats().Calls; calls == 0 {
		t.Error("no call was forwarded")
	}
	s.ends(t)
}
