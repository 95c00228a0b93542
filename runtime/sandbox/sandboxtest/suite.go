// Package sandboxtest is the conformance suite of sandbox.Sandbox: whatever confines an Instance, its lifecycle is the same.
package sandboxtest

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/runtime/sandbox"
	"sluice/runtime/sandbox/sandboxtest/report"
)

// noticed bounds how long a test waits for what must happen; nothing is measured with it.
const noticed = 60 * time.Second

// Fixture is a Sandbox and how to run the probe in it. Its records and Instances are the test's own.
type Fixture struct {
	Sandbox sandbox.Sandbox
	Reopen  func(t *testing.T) sandbox.Sandbox // the same one as a restarted daemon would make it

	Image           string   // of the probe, where the Sandbox takes images
	Program         []string // runs the probe, its arguments follow
	FunctionDirSeen string   // where the program sees its function folder; empty: as the host does
}

// BuildProbe compiles the probe, statically, into a folder of the test's and returns its path.
func BuildProbe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "probe")
	command := exec.Command("go", "build", "-o", path, "sluice/runtime/sandbox/sandboxtest/probe")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the probe: %v\n%s", err, output)
	}
	return path
}

// Run runs the whole suite.
func Run(t *testing.T, factory func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(*Bench)
	}{
		{"Exit", testExit},
		{"Log", testLog},
		{"Environment", testEnvironment},
		{"Lease", testLease},
		{"StopIsGraceful", testStopIsGraceful},
		{"StopKills", testStopKills},
		{"StopIsAbandoned", testStopIsAbandoned},
		{"KillEndsChildren", testKillEndsChildren},
		{"ExitEndsChildren", testExitEndsChildren},
		{"States", testStates},
		{"WaitIsShared", testWaitIsShared},
		{"WaitIsAbandoned", testWaitIsAbandoned},
		{"ServesSocket", testServesSocket},
		{"ServesPort", testServesPort},
		{"DialFollowsNoLink", testDialFollowsNoLink},
		{"Refuses", testRefuses},
		{"MissingProgram", testMissingProgram},
		{"DeleteUnstarted", testDeleteUnstarted},
		{"DeleteIsFinished", testDeleteIsFinished},
		{"List", testList},
		{"Adopt", testAdopt},
		{"AdoptStopped", testAdoptStopped},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(NewBench(t, factory(t))) })
	}
}

// Bench makes Specs and Instances for one test and ends all of them with it.
type Bench struct {
	*testing.T
	Fixture
	Context context.Context
}

var count atomic.Int64 // makes ids unique within a test binary

// NewBench returns a Bench whose Instances are deleted at the end of the test.
func NewBench(t *testing.T, fixture Fixture) *Bench {
	ctx, cancel := context.WithTimeout(context.Background(), noticed)
	b := &Bench{T: t, Fixture: fixture, Context: ctx}
	t.Cleanup(func() {
		defer cancel()
		left, err := fixture.Sandbox.List(ctx)
		if err != nil {
			t.Errorf("list at the end: %v", err)
		}
		for _, instance := range left {
			if err := instance.Delete(ctx); err != nil {
				t.Errorf("delete at the end: %v", err)
			}
		}
	})
	return b
}

// Spec returns a Spec that runs the probe with the arguments.
func (b *Bench) Spec(args ...string) sandbox.Spec {
	b.Helper()
	// A short path: the function's socket lies below it.
	dir, err := os.MkdirTemp("", "fn")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	seen := dir
	if b.FunctionDirSeen != "" {
		seen = b.FunctionDirSeen
	}
	return sandbox.Spec{
		ID: "probe-v1-" + string(rune('a'+count.Add(1)%26)) + filepath.Base(dir)[2:], Tenant: "tenant", Function: "probe", Version: "v1",
		Image: b.Image, Command: append(append([]string{}, b.Program...), args...),
		Env:     map[string]string{report.EnvReady: filepath.Join(seen, "ready.sock")},
		LogPath: filepath.Join(dir, "log"), FunctionDir: dir,
	}
}

// Create makes an Instance that must be possible.
func (b *Bench) Create(spec sandbox.Spec) sandbox.Instance {
	b.Helper()
	instance, err := b.Sandbox.Create(b.Context, spec)
	if err != nil {
		b.Fatalf("create: %v", err)
	}
	return instance
}

// Run creates and starts an Instance.
func (b *Bench) Run(spec sandbox.Spec) sandbox.Instance {
	b.Helper()
	instance := b.Create(spec)
	b.Must(instance.Start(b.Context))
	return instance
}

// ready is where a program that holds reports that it is ready; without it, it ends.
func (b *Bench) ready(spec sandbox.Spec) *net.UnixListener {
	b.Helper()
	path := filepath.Join(spec.FunctionDir, "ready.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	b.Must(err)
	b.Must(os.Chmod(path, 0o777)) // the program may have another user
	return listener
}

// RunReady creates and starts an Instance and waits until n of its processes are ready. Each connection lasts as long as its process.
func (b *Bench) RunReady(spec sandbox.Spec, n int) (sandbox.Instance, []net.Conn) {
	b.Helper()
	listener := b.ready(spec)
	defer listener.Close()
	b.Must(listener.SetDeadline(time.Now().Add(noticed)))
	instance := b.Run(spec)
	var connections []net.Conn
	for range n {
		connection, err := listener.Accept()
		if err != nil {
			b.Fatalf("the program is not ready: %v; log:\n%s", err, b.Log(spec))
		}
		b.Cleanup(func() { connection.Close() })
		b.Must(connection.SetDeadline(time.Now().Add(noticed)))
		if _, err := connection.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
		connections = append(connections, connection)
	}
	return instance, connections
}

// Wait returns how the Instance ended.
func (b *Bench) Wait(instance sandbox.Instance) sandbox.Exit {
	b.Helper()
	exit, err := instance.Wait(b.Context)
	if err != nil {
		b.Fatalf("wait: %v", err)
	}
	return exit
}

// WantState checks the Instance's state.
func (b *Bench) WantState(instance sandbox.Instance, want sandbox.State) {
	b.Helper()
	if got, err := instance.State(b.Context); err != nil || got != want {
		b.Errorf("state is %q, %v; want %q", got, err, want)
	}
}

// Must ends the test on an error.
func (b *Bench) Must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Log returns what the program wrote.
func (b *Bench) Log(spec sandbox.Spec) string {
	b.Helper()
	content, err := os.ReadFile(spec.LogPath)
	if err != nil {
		b.Errorf("read log: %v", err)
	}
	return string(content)
}

// Output runs the probe to its end and parses the JSON that it wrote.
func (b *Bench) Output(spec sandbox.Spec, into any) {
	b.Helper()
	instance := b.Run(spec)
	exit := b.Wait(instance)
	b.Must(instance.Delete(b.Context))
	if exit.Code != 0 {
		b.Fatalf("exit %+v; log:\n%s", exit, b.Log(spec))
	}
	if err := json.Unmarshal([]byte(b.Log(spec)), into); err != nil {
		b.Fatalf("%v; log:\n%s", err, b.Log(spec))
	}
}

func (b *Bench) environment(spec sandbox.Spec) map[string]string {
	b.Helper()
	var list []string
	b.Output(spec, &list)
	env := make(map[string]string)
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}
