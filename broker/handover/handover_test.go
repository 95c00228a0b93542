package handover

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is a connection over a real control socket.
func pair(t *testing.T) (daemon, worker *Conn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "control.sock")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if daemon, err = Dial(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Close() })
	if worker, err = Accept(listener); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })
	return daemon, worker
}

func TestMessagesArriveAsSent(t *testing.T) {
	daemon, worker := pair(t)
	for _, m := range []Message{
		{Ready: &Ready{Devices: 2, LoadMs: 30}},
		{Assign: &Assign{LeaseID: "l", Tenant: "t", Holder: "h", MemoryBytes: 1 << 40, PlatformIndex: 1, Devices: []AssignedDevice{{Index: 2, MemoryBytes: 1 << 40}}}},
		{Assigned: &Assigned{Error: "why"}},
		{SessionEnded: &SessionEnded{ID: "s", Error: "why"}},
		{StatsRequest: &StatsRequest{}},
		{Stats: &Stats{Sessions: 1, SessionsOpen: 2, Calls: 3, BytesToDevice: 4, BytesFromDevice: 5, MemoryBytes: 6}},
	} {
		if err := daemon.Send(m, nil); err != nil {
			t.Fatal(err)
		}
		got, file, err := worker.Receive()
		if err != nil || file != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("sent %+v, got %+v, file %v, error %v", m, got, file, err)
		}
	}
	daemon.Close()
	if _, _, err := worker.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, want EOF", err)
	}
}

func TestSessionCarriesItsDescriptor(t *testing.T) {
	daemon, worker := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	m := Message{Session: &Session{ID: "s", PID: 7}}
	if err := daemon.Send(m, nil); !errors.Is(err, ErrMessage) {
		t.Errorf("a session without a descriptor: %v", err)
	}
	if err := daemon.Send(Message{StatsRequest: &StatsRequest{}}, w); !errors.Is(err, ErrMessage) {
		t.Errorf("a descriptor without a session: %v", err)
	}
	if err := daemon.Send(m, w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	got, file, err := worker.Receive()
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, error %v", got, err)
	}
	fmt.Fprint(file, "through")
	file.Close()
	if text, err := io.ReadAll(r); string(text) != "through" || err != nil {
		t.Errorf("read %q, error %v", text, err)
	}
}

func TestBadPacketsAreRefusedAndTheirDescriptorsClosed(t *testing.T) {
	session := `{"session":{"id":"s"}}`
	for name, c := range map[string]struct {
		packet      string
		descriptors int
	}{
		"not json":               {"hello", 0},
		"empty object":           {"{}", 0},
		"two kinds":              {`{"ready":{},"stats":{}}`, 0},
		"unknown kind":           {`{"shutdown":{}}`, 0},
		"two objects":            {`{"ready":{}}{"ready":{}}`, 0},
		"null kind":              {`{"ready":null}`, 0},
		"assign without lease":   {`{"assign":{}}`, 0},
		"negative index":         {`{"assign":{"lease_id":"l","platform_index":-1}}`, 0},
		"session without id":     {`{"session":{}}`, 1},
		"session without file":   {session, 0},
		"session with two files": {session, 2},
		"session with ten files": {session, 10},
		"stats with a file":      {`{"stats_request":{}}`, 1},
		"too long":               {`{"assigned":{"error":"` + strings.Repeat("x", MessageBytesMax) + `"}}`, 0},
		"reason too long":        {`{"assigned":{"error":"` + strings.Repeat("x", ReasonBytesMax+1) + `"}}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			daemon, worker := pair(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var fds []int
			for range c.descriptors {
				fds = append(fds, int(w.Fd()))
			}
			var rights []byte
			if len(fds) > 0 {
				rights = unix.UnixRights(fds...)
			}
			if _, _, err := daemon.socket.WriteMsgUnix([]byte(c.packet), rights, nil); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if m, _, err := worker.Receive(); !errors.Is(err, ErrMessage) {
				t.Errorf("got %+v, error %v", m, err)
			}
			// The pipe ends only when no copy of its writing end is left open.
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("a descriptor was left open: %d bytes, %v", n, err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"assign":{"lease_id":"l","memory_bytes":1}}`))
	f.Add([]byte(`{"session":{"id":"s"}}`))
	f.Add([]byte(`{"stats":{"calls":18446744073709551615}}`))
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := decode(packet)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		again, err := encode(m)
		if err != nil {
			if len(packet) > MessageBytesMax/8 {
				return // escapes may make a long message longer
			}
			t.Fatalf("accepted but does not encode: %+v: %v", m, err)
		}
		back, err := decode(again)
		if err != nil || !reflect.DeepEqual(back, m) {
			t.Fatalf("%+v became %+v, error %v", m, back, err)
		}
	})
}
