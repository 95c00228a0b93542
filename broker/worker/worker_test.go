package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/broker/handover"
	"sluice/vdev/wire"
)

// echo is a Server that sends back what a shim sends, until "bad" comes.
type echo struct{}

var errBad = errors.New("the shim said bad")

func (echo) Serve(ctx context.Context, conn *net.UnixConn, _ *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	b := make([]byte, 100)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil
		}
		if string(b[:n]) == "bad" {
			return errBad
		}
		if _, err := conn.Write(b[:n]); err != nil {
			return nil
		}
	}
}

func (echo) Stats() handover.Stats { return handover.Stats{Calls: 7, Sessions: 99} }

// start runs a Worker on a real control socket, and returns the socket's path.
func start(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "control.sock")
	listener, err := handover.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(a handover.Assign, _ <-chan struct{}) (Server, error) {
		if a.MemoryBytes == 0 {
			return nil, errors.New("no memory")
		}
		return echo{}, nil
	}
	w := New(handover.Ready{Devices: 3}, filepath.Join(dir, "builds"), open, slog.New(slog.NewTextHandler(t.Output(), nil)))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return path
}

func dial(t *testing.T, path string) *handover.Conn {
	t.Helper()
	daemon, err := handover.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Close() })
	if m := receive(t, daemon); m.Ready == nil || m.Ready.Devices != 3 {
		t.Fatalf("first message %+v", m)
	}
	return daemon
}

func send(t *testing.T, daemon *handover.Conn, m handover.Message, file *os.File) {
	t.Helper()
	if err := daemon.Send(m, file); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, daemon *handover.Conn) handover.Message {
	t.Helper()
	m, _, err := daemon.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// session hands one end of a connection over and returns the other.
func session(t *testing.T, daemon *handover.Conn, id string) *os.File {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	shim, given := os.NewFile(uintptr(ends[0]), "shim"), os.NewFile(uintptr(ends[1]), "given")
	defer given.Close()
	t.Cleanup(func() { shim.Close() })
	send(t, daemon, handover.Message{Session: &handover.Session{ID: id}}, given)
	return shim
}

func expectEcho(t *testing.T, shim *os.File) {
	t.Helper()
	if _, err := shim.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(shim, b); err != nil || string(b) != "hello" {
		t.Fatalf("read %q, error %v", b, err)
	}
}

var assign = handover.Message{Assign: &handover.Assign{LeaseID: "l", MemoryBytes: 1}}

func TestSessionsAreServedAndCounted(t *testing.T) {
	daemon := dial(t, start(t))
	send(t, daemon, assign, nil)
	if m := receive(t, daemon); m.Assigned == nil || m.Assigned.Error != "" {
		t.Fatalf("answer %+v", m)
	}
	good, bad := session(t, daemon, "good"), session(t, daemon, "bad")
	expectEcho(t, good)
	expectEcho(t, bad)
	if _, err := bad.WriteString("bad"); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, daemon); m.SessionEnded == nil || m.SessionEnded.ID != "bad" || m.SessionEnded.Error != errBad.Error() {
		t.Errorf("answer %+v", m)
	}
	expectEcho(t, good)
	send(t, daemon, handover.Message{StatsRequest: &handover.StatsRequest{}}, nil)
	if m := receive(t, daemon); m.Stats == nil || *m.Stats != (handover.Stats{Sessions: 2, SessionsOpen: 1, Calls: 7}) {
		t.Errorf("answer %+v", m.Stats)
	}
	good.Close()
	if m := receive(t, daemon); m.SessionEnded == nil || m.SessionEnded.ID != "good" || m.SessionEnded.Error != "" {
		t.Errorf("answer %+v", m)
	}
}

// What the tenant has built before may be long in coming, which keeps no session waiting.
func TestSessionsDoNotWaitForBuilds(t *testing.T) {
	daemon := dial(t, start(t))
	builds, never, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer builds.Close()
	defer never.Close() // before the worker ends
	send(t, daemon, handover.Message{Assign: &handover.Assign{LeaseID: "l", MemoryBytes: 1, Builds: true}}, builds)
	receive(t, daemon)
	expectEcho(t, session(t, daemon, "s"))
	send(t, daemon, handover.Message{BuildsRequest: &handover.BuildsRequest{}}, nil)
	if m := receive(t, daemon); m.Builds == nil || m.Builds.Packed || m.Builds.Error != "" {
		t.Errorf("asked for builds before the earlier ones have come: %+v", m)
	}
}

func TestSessionsOutliveTheDaemon(t *testing.T) {
	path := start(t)
	daemon := dial(t, path)
	send(t, daemon, assign, nil)
	receive(t, daemon)
	shim := session(t, daemon, "s")
	expectEcho(t, shim)
	daemon.Close()

	next, err := handover.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if m := receive(t, next); m.Ready == nil || m.Ready.LeaseID != assign.Assign.LeaseID || m.Ready.ProtocolHash != wire.ProtocolHash {
		t.Errorf("the next daemon is told %+v", m.Ready)
	}
	expectEcho(t, shim)
	send(t, next, assign, nil)
	if m := receive(t, next); m.Assigned == nil || m.Assigned.Error == "" {
		t.Errorf("a worker took a second lease: %+v", m)
	}
	expectEcho(t, session(t, next, "another"))
}

func TestWorkerRefusesWhatItCannotServe(t *testing.T) {
	daemon := dial(t, start(t))
	shim := session(t, daemon, "early")
	if m := receive(t, daemon); m.SessionEnded == nil || m.SessionEnded.Error == "" {
		t.Errorf("a session without a lease: %+v", m)
	}
	if n, err := shim.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the refused shim read %d bytes, error %v", n, err)
	}
	send(t, daemon, handover.Message{Assign: &handover.Assign{LeaseID: "l"}}, nil)
	if m := receive(t, daemon); m.Assigned == nil || m.Assigned.Error != "opening the lease: no memory" {
		t.Errorf("answer %+v", m)
	}
	send(t, daemon, handover.Message{Assigned: &handover.Assigned{}}, nil)
	if _, _, err := daemon.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after a message that is not for a worker: %v, want the end", err)
	}
}
