package server_test

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/broker/client"
	"sluice/broker/lease"
	"sluice/broker/server"
	"sluice/vdev/wire"
)

// follow stops a broker as an upgrade does, and starts the next one in its place.
func (b broker) follow(t *testing.T) broker {
	t.Helper()
	b.server.Leave()
	b.stop()
	return startIn(t, b.state, nil)
}

// greet connects as a shim does, and returns the answer's first number and what follows: 0 and a message is a refusal.
func (b broker) greet(t *testing.T, hello wire.Hello) (answer uint32, message string) {
	t.Helper()
	conn, err := net.Dial("unix", filepath.Join(b.state, "session", "broker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	greeting, err := wire.AppendHello(nil, hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(greeting); err != nil {
		t.Fatal(err)
	}
	welcome := make([]byte, wire.WelcomeSize)
	if _, err := io.ReadFull(conn, welcome); err != nil {
		t.Fatal(err)
	}
	if answer = binary.LittleEndian.Uint32(welcome[8:]); answer != 0 {
		return answer, ""
	}
	rest, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return 0, string(rest)
}

func TestNextBrokerAdoptsLeases(t *testing.T) {
	earlier := start(t, nil)
	whole := earlier.freeBytes(t)
	kept, renewed := earlier.grant(t, request(1<<20)), earlier.grant(t, request(2<<20))
	if _, err := earlier.Renew(testContext(t), renewed.ID, time.Hour); err != nil {
		t.Fatal(err)
	}
	worker := earlier.workerOf(t, kept.ID)

	next := earlier.follow(t)
	listed := mustLeases(t, next)
	if len(listed) != 2 {
		t.Fatalf("leases %+v, want those of the earlier broker", listed)
	}
	for _, l := range listed {
		least := time.Now().Add(30 * time.Second)
		if l.ID == renewed.ID {
			least = time.Now().Add(50 * time.Minute)
		}
		if l.ExpiresAt.Before(least) {
			t.Errorf("lease %s lives until %s only", l.ID, l.ExpiresAt)
		}
	}
	if free := next.freeBytes(t); free != whole-3<<20 {
		t.Errorf("%d bytes free of %d, want 3 MiB less", free, whole)
	}
	if now := next.workerOf(t, kept.ID); now != worker {
		t.Errorf("lease %s has worker %d, want %d still", kept.ID, now, worker)
	}
	hello := wire.Hello{Token: kept.Token, ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: 1}
	if answer, message := next.greet(t, hello); answer == 0 {
		t.Errorf("a session of an adopted lease is refused: %s", message)
	}
	hello.ProtocolHash++
	if _, message := next.greet(t, hello); !strings.Contains(message, "another build") {
		t.Errorf("a shim of another build is answered %q", message)
	}

	w := next.watch(t)
	if err := next.Release(testContext(t), kept.ID); err != nil {
		t.Fatal(err)
	}
	expect(t, w, lease.EventReleased, kept.ID)
	if err := unix.Kill(next.workerOf(t, renewed.ID), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	expect(t, w, lease.EventLost, renewed.ID)
	if free := next.freeBytes(t); free != whole {
		t.Errorf("%d bytes free of %d", free, whole)
	}
}

// TestLeaseEndsWithItsWorkerBetweenBrokers has a worker die while no broker is there, and a record that cannot be read.
func TestLeaseEndsWithItsWorkerBetweenBrokers(t *testing.T) {
	earlier := start(t, nil)
	whole := earlier.freeBytes(t)
	dead, spoilt := earlier.grant(t, request(1<<20)), earlier.grant(t, request(1<<20))
	pid := earlier.workerOf(t, dead.ID)
	earlier.server.Leave()
	earlier.stop()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(earlier.state, "workers", "*", "lease.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range records {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), spoilt.ID) {
			if err := os.WriteFile(path, content[:len(content)/2], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := startIn(t, earlier.state, nil)
	if listed := mustLeases(t, next); len(listed) != 0 {
		t.Errorf("leases %+v, want none", listed)
	}
	if free := next.freeBytes(t); free != whole {
		t.Errorf("%d bytes free of %d", free, whole)
	}
	if _, err := next.Renew(testContext(t), dead.ID, time.Minute); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("renewed without a worker: %v", err)
	}
}

// TestSecondBrokerLeavesTheFirstAlone starts one more in the same state folder: the first one's shims still find it.
func TestSecondBrokerLeavesTheFirstAlone(t *testing.T) {
	first := start(t, nil)
	kept := first.grant(t, request(1<<20))
	_, err := server.New(testContext(t), server.Config{StateFolder: first.state, WorkerPath: workerPath, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("a second broker: %v", err)
	}
	hello := wire.Hello{Token: kept.Token, ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: 1}
	if answer, message := first.greet(t, hello); answer == 0 {
		t.Errorf("the first one's session is refused: %s", message)
	}
}
