package session_test

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/broker/device"
	"sluice/broker/handover"
	"sluice/broker/lease"
	"sluice/broker/session"
	"sluice/vdev/wire"
)

const token = "5f0c"

// leases is a real ledger with one Lease, and a real control socket to a worker that the test plays.
type leases struct {
	ledger  *lease.Ledger
	control *handover.Conn
}

func (l *leases) ByToken(token string) (lease.Lease, uint64, error) {
	held, err := l.ledger.ByToken(time.Now(), token)
	return held, wire.ProtocolHash, err
}

func (l *leases) HandOver(_ string, g session.Greeting) error {
	return l.control.Send(handover.Message{Session: &handover.Session{ID: g.SessionID, PID: g.PID, APIVersion: g.APIVersion}}, g.Conn)
}

type fixture struct {
	path     string
	listener *session.Listener
	worker   *handover.Conn
	ledger   *lease.Ledger
}

func start(t *testing.T) fixture {
	t.Helper()
	dir, err := os.MkdirTemp("", "session")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })

	ledger, err := lease.NewLedger([]device.Device{{ID: "d", API: device.APIOpenCL, MemoryBytes: 100}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ledger.Grant(time.Now(), "lease-1", token, lease.Request{
		Tenant: "t", Holder: "h", Slices: []device.Slice{{MemoryBytes: 1}}, Duration: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}

	controlPath := filepath.Join(dir, "control.sock")
	control, err := handover.Listen(controlPath)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	daemon, err := handover.Dial(controlPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Close() })
	worker, err := handover.Accept(control)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })

	path := filepath.Join(dir, "session", "broker.sock")
	listener, err := session.Listen(path, &leases{ledger, daemon}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listener.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return fixture{path, listener, worker, ledger}
}

func dial(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func hello(t *testing.T, h wire.Hello) []byte {
	t.Helper()
	b, err := wire.AppendHello(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func good() wire.Hello {
	return wire.Hello{Token: token, ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: 42}
}

func TestGoodGreetingReachesTheWorker(t *testing.T) {
	f := start(t)
	shim := dial(t, f.path)
	if _, err := shim.Write(hello(t, good())); err != nil {
		t.Fatal(err)
	}
	m, file, err := f.worker.Receive()
	if err != nil || m.Session == nil {
		t.Fatalf("worker received %+v, error %v", m, err)
	}
	if m.Session.ID != "lease-1.1" || m.Session.PID != 42 || m.Session.APIVersion != wire.APIVersion {
		t.Errorf("session %+v", m.Session)
	}
	if _, err := file.WriteString("welcome"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	// The worker's copy was the last: the daemon has stepped aside, so the shim sees the end.
	if got, err := io.ReadAll(shim); string(got) != "welcome" || err != nil {
		t.Errorf("shim read %q, error %v", got, err)
	}
	if c := f.listener.Counts(); c.HandedOver != 1 || c.Refused != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestBadGreetingsAreRefusedWithAReason(t *testing.T) {
	wrongHash, wrongToken, noToken := good(), good(), good()
	wrongHash.ProtocolHash++
	wrongToken.Token = "5f0d"
	noToken.Token = ""
	badMagic := hello(t, good())
	badMagic[0]++
	oversize := hello(t, good())
	binary.LittleEndian.PutUint32(oversize[24:], wire.TokenMax+1)

	for name, c := range map[string]struct {
		bytes []byte
		says  string
	}{
		"bad magic":             {badMagic, "SLUICE_SOCKET"},
		"http":                  {[]byte(strings.Repeat("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 10)), "SLUICE_SOCKET"},
		"wrong hash":            {hello(t, wrongHash), "another build"},
		"wrong token":           {hello(t, wrongToken), "no lease has this token"},
		"no token":              {hello(t, noToken), "no lease has this token"},
		"oversize token":        {oversize, "token of 129 bytes"},
		"more than a greeting":  {append(hello(t, wrongToken), make([]byte, 1<<16)...), "no lease has this token"},
		"ended before it began": {nil, "malformed greeting"},
		"ended in the middle":   {hello(t, good())[:wire.HelloSize-1], "malformed greeting"},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			shim := dial(t, f.path)
			if _, err := shim.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			if err := shim.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			expectRefusal(t, shim, c.says)
			if counts := f.listener.Counts(); counts.Refused != 1 || counts.HandedOver != 0 {
				t.Errorf("counts %+v", counts)
			}
		})
	}
}

// expectRefusal reads what vdev/wire says a refusal is: magic, answer 0, length, then the message.
func expectRefusal(t *testing.T, shim io.Reader, says string) {
	t.Helper()
	got, err := io.ReadAll(shim)
	if err != nil && len(got) < wire.WelcomeSize {
		t.Fatalf("read %q, error %v", got, err)
	}
	if len(got) < wire.WelcomeSize || binary.LittleEndian.Uint64(got) != wire.Magic || binary.LittleEndian.Uint32(got[8:]) != 0 {
		t.Fatalf("not a refusal: %q", got)
	}
	if message := string(got[wire.WelcomeSize:]); !strings.Contains(message, says) {
		t.Errorf("refused with %q, want it to say %q", message, says)
	}
}

func TestSlowGreetingIsCutOffAndBlocksNobody(t *testing.T) {
	f := start(t)
	slow := dial(t, f.path)
	if _, err := slow.Write(hello(t, good())[:20]); err != nil {
		t.Fatal(err)
	}
	quick := dial(t, f.path)
	if _, err := quick.Write(hello(t, good())); err != nil {
		t.Fatal(err)
	}
	if m, file, err := f.worker.Receive(); err != nil || m.Session == nil {
		t.Fatalf("worker received %+v, error %v", m, err)
	} else {
		file.Close()
	}
	// Nothing but the daemon's own deadline ends the slow one.
	if err := slow.SetReadDeadline(time.Now().Add(10 * session.HelloTimeout)); err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, slow, "timeout")
}

func TestEndedLeaseAndDeadWorkerAreRefused(t *testing.T) {
	f := start(t)
	f.worker.Close()
	shim := dial(t, f.path)
	if _, err := shim.Write(hello(t, good())); err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, shim, "worker cannot take this session")

	f = start(t)
	if _, err := f.ledger.End("lease-1"); err != nil {
		t.Fatal(err)
	}
	shim = dial(t, f.path)
	if _, err := shim.Write(hello(t, good())); err != nil {
		t.Fatal(err)
	}
	expectRefusal(t, shim, "no lease has this token")
}

func TestSocketPathMustFit(t *testing.T) {
	if _, err := session.Listen("/"+strings.Repeat("x", session.SocketPathMax), nil, slog.Default()); err == nil {
		t.Error("a path of 108 bytes was accepted")
	}
}
