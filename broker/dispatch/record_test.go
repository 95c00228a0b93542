package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"sluice/broker/dispatch"
	"sluice/vdev/record"
)

// recordedMemory is of the leases that recordings are made and repeated on, in bytes.
const recordedMemory = 1 << 30

// recording runs a program on a lease that keeps what it says.
func recording(t *testing.T, name string) []byte {
	t.Helper()
	var file bytes.Buffer
	writer := record.NewWriter(&file)
	server := serveWith(t, dispatch.Limits{Devices: []dispatch.Device{{MemoryBytes: recordedMemory}}, Steady: true, Record: writer}, shimOf(t, "plain"))
	runLogged(t, server.environment(), compile(t, name, programSources(name)...))
	server.ends(t)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

var judge = record.Judge{Name: dispatch.CallName, Volatile: dispatch.Volatile}

// replayed says a recording again to a new lease.
func replayed(t *testing.T, file []byte) record.Report {
	t.Helper()
	server := serveWith(t, dispatch.Limits{Devices: []dispatch.Device{{MemoryBytes: recordedMemory}}, Steady: true}, shimOf(t, "plain"))
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: server.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader, err := record.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	report, err := record.Replay(ctx, conn, reader, judge)
	if err != nil {
		t.Fatalf("after %d frames: %v", report.Frames, err)
	}
	_ = conn.Close()
	server.ends(t)
	return report
}

// recordedPrograms leave out those that move most bytes, and what a recording cannot hold: the two sessions of fork, shared
// virtual memory.
var recordedPrograms = []string{
	"objects", "errors", "subdevices", "rectangles", "images", "kernels", "programs", "events", "callbacks", "threads",
}

// Programs of each area of the API are recorded, and what they said is said again without them.
func TestRecordings(t *testing.T) {
	for _, name := range recordedPrograms {
		t.Run(name, func(t *testing.T) {
			report := replayed(t, recording(t, name))
			t.Logf("%d frames, %d answers, %d results", report.Frames, report.Answers, report.Results)
			if report.Differing > 0 || report.Frames == 0 || report.Answers == 0 {
				t.Errorf("%d of %d answers and %d results differ:\n%s",
					report.Differing, report.Answers, report.Results, strings.Join(report.Differences, "\n"))
			}
		})
	}
}

// A recording whose program wrote other bytes has other results.
func TestReplayFindsWhatDiffers(t *testing.T) {
	reader, err := record.NewReader(bytes.NewReader(recording(t, "rectangles")))
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	changed := record.NewWriter(&file)
	changed.Begin(reader.Header)
	data := 0
	for {
		e, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case record.Frame:
			changed.Taken()
			changed.Open(e.Bytes)
			continue
		case record.Data:
			data++
			e.Bytes[0] ^= 1
		default:
			changed.Taken()
		}
		changed.Add(e)
	}
	changed.Taken()
	if err := changed.Close(); err != nil {
		t.Fatal(err)
	}
	if report := replayed(t, file.Bytes()); data == 0 || report.Differing == 0 {
		t.Errorf("%d data are changed, and %d results all are as they were", data, report.Results)
	}
}

func TestARecordingHoldsOneSession(t *testing.T) {
	writer := record.NewWriter(io.Discard)
	server := serveWith(t, dispatch.Limits{Devices: []dispatch.Device{{MemoryBytes: 1 << 28}}, Steady: true, Record: writer}, shimOf(t, "plain"))
	server.open(t).close()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: server.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := &record.Reader{Header: record.Header{}}
	if _, err := record.Replay(t.Context(), conn, reader, judge); err == nil || !strings.Contains(err.Error(), "recording") {
		t.Errorf("a second session: %v", err)
	}
	server.over(t)
	if failures := server.failed(); len(failures) != 1 || !errors.Is(failures[0], dispatch.ErrSessions) {
		t.Errorf("sessions ended with %v", failures)
	}
}
