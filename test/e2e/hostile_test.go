package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// largeClients each send largeBytes of a message that has half as much again: more than the daemon may hold of all.
	largeClients = 1024
	largeBytes   = 3 << 20
	// largeHeldBytes is what the daemon may hold: the heap's limit of 1.5 GiB, and what came faster than clients were given up.
	largeHeldBytes = 2 << 30
	// hostileClients is how many slow or half-open connections one door has at once.
	hostileClients = 10_000
	// bytesPerClient is what one of them may cost the daemon.
	bytesPerClient = 48 << 10
	// hostileBound is how long a door may take to let go of clients that never finish their greeting, its 10 s included.
	hostileBound = 30 * time.Second
)

// greeting is what a client of gRPC sends first (RFC 9113, section 3.4), with a request's header where path is not empty.
func greeting(t *testing.T, path string, body []byte, last bool) []byte {
	t.Helper()
	var text bytes.Buffer
	text.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&text, nil)
	// A window of nothing: no answer can be sent.
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	if path == "" {
		return text.Bytes()
	}
	var header bytes.Buffer
	encoder := hpack.NewEncoder(&header)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "sluice"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	if len(body) > 0 {
		if err := framer.WriteData(1, last, body); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}

// A beginning is what hostile clients of one kind send before they say no more.
type beginning struct {
	what string
	text []byte
	// greeted means that the door has no reason yet to let go of it.
	greeted bool
}

func grpcBeginnings(t *testing.T) []beginning {
	const infer = "/inference.GRPCInferenceService/ModelInfer"
	part := append([]byte{0, 0, 16, 0, 0}, make([]byte, 4<<10)...) // 4 KiB of a message that says it has 1 MiB
	return []beginning{
		{"nothing", nil, false},
		{"half a preface", []byte(http2.ClientPreface[:12]), false},
		{"a greeting", greeting(t, "", nil, false), true},
		{"a header", greeting(t, infer, nil, false), true},
		{"a part of a message", greeting(t, infer, part, false), true},
		{"a request, whose answer is not read", greeting(t, "/inference.GRPCInferenceService/ServerMetadata", make([]byte, 5), true), true},
	}
}

func httpBeginnings() []beginning {
	return []beginning{
		{"nothing", nil, false},
		{"half a header", []byte("POST /v2/models/simple/infer HTTP/1.1\r\nHost: sluice\r\nX: "), false},
		{"a header", []byte("POST /v2/models/simple/infer HTTP/1.1\r\nHost: sluice\r\nContent-Length: 1048576\r\n\r\n"), true},
		{"a part of a body", append([]byte("POST /v2/models/simple/infer HTTP/1.1\r\nHost: sluice\r\nContent-Length: 1048576\r\n\r\n"), make([]byte, 4<<10)...), true},
		{"a request, whose answer is not read", []byte("GET /v2 HTTP/1.1\r\nHost: sluice\r\n\r\n"), true},
	}
}

// Ten thousand clients that stop in the middle cost little memory and keep nobody from being served, and those that do not
// even greet are let go of.
func TestHostileClients(t *testing.T) {
	checkFileLimit(t)
	invokeSimple(t)
	for _, door := range []struct {
		name, address string
		beginnings    []beginning
	}{
		{"gRPC", running.address, grpcBeginnings(t)},
		{"HTTP", running.http, httpBeginnings()},
	} {
		t.Run(door.name, func(t *testing.T) {
			before := running.residentBytes(t)
			clients := openClients(t, door.address, door.beginnings, hostileClients)
			for range 5 {
				invokeSimple(t)
			}
			held := running.residentBytes(t) - before
			t.Logf("%d clients hold %d MiB: %.1f KiB each", hostileClients, held>>20, float64(held)/hostileClients/1024)
			if held > hostileClients*bytesPerClient {
				t.Errorf("%d clients hold %d bytes each, want at most %d", hostileClients, held/hostileClients, bytesPerClient)
			}
			awaitEnd(t, clients, door.beginnings)
			invokeSimple(t)
		})
	}
}

// Clients that together send more than the daemon has memory for, and stop in the middle, are given up before it is all taken.
func TestLargeSlowClients(t *testing.T) {
	const infer = "/inference.GRPCInferenceService/ModelInfer"
	announced := binary.BigEndian.AppendUint32([]byte{0}, largeBytes*3/2)
	for _, door := range []struct {
		name, address string
		text          []byte
	}{
		{"gRPC", running.address, greeting(t, infer, announced, false)},
		{"HTTP", running.http, fmt.Appendf(nil, "POST /v2/models/simple/infer HTTP/1.1\r\nHost: sluice\r\nContent-Length: %d\r\n\r\n", largeBytes*3/2)},
	} {
		t.Run(door.name, func(t *testing.T) {
			piece := make([]byte, 16<<10)
			if door.name == "gRPC" {
				var frame bytes.Buffer
				if err := http2.NewFramer(&frame, nil).WriteData(1, false, piece[9:]); err != nil {
					t.Fatal(err)
				}
				piece = frame.Bytes()
			}
			clients := openClients(t, door.address, []beginning{{text: door.text}}, largeClients)
			most := 0
			for sent := 0; sent < largeBytes; sent += 16 * len(piece) {
				for _, client := range clients {
					sendPieces(client, piece, 16)
				}
				most = max(most, running.residentBytes(t))
			}
			t.Logf("%d clients sent %d MiB, the daemon had %d MiB at most", largeClients, largeClients*largeBytes>>20, most>>20)
			if most > largeHeldBytes {
				t.Errorf("the daemon had %d bytes, want at most %d", most, largeHeldBytes)
			}
			invokeSimple(t)
		})
	}
}

// sendPieces sends what is taken within a moment; a client that was given up sends nothing.
func sendPieces(client net.Conn, piece []byte, count int) {
	_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for range count {
		if _, err := client.Write(piece); err != nil {
			return
		}
	}
}

// openClients connects them and sends what each sends.
func openClients(t *testing.T, address string, beginnings []beginning, count int) []net.Conn {
	t.Helper()
	clients := make([]net.Conn, 0, count)
	t.Cleanup(func() {
		for _, client := range clients {
			client.Close()
		}
	})
	for i := range count {
		client, err := net.DialTimeout("tcp", address, startBound)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		clients = append(clients, client)
		if text := beginnings[i%len(beginnings)].text; len(text) > 0 {
			if _, err := client.Write(text); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatalf("client %d: %v", i, err)
			}
		}
	}
	return clients
}

// awaitEnd waits until the door has let go of the clients that have not greeted.
func awaitEnd(t *testing.T, clients []net.Conn, beginnings []beginning) {
	t.Helper()
	deadline := time.Now().Add(hostileBound)
	left := make(map[string]int)
	for i, client := range clients {
		kind := beginnings[i%len(beginnings)]
		if kind.greeted {
			continue
		}
		if err := client.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, client); errors.Is(err, os.ErrDeadlineExceeded) {
			left[kind.what]++
		}
	}
	for what, count := range left {
		t.Errorf("%d clients that sent %s are still there after %v", count, what, hostileBound)
	}
}

// checkFileLimit demands that this process, and so the daemon that it started, may have as many connections as the test opens.
// Go's runtime has raised the soft limit to the hard one in both.
func checkFileLimit(t *testing.T) {
	t.Helper()
	const files = hostileClients + 4096
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < files {
		t.Fatalf("a process may have %d files open, the test needs %d: raise the limit with ulimit -Hn", limit.Max, files)
	}
}

var residentPattern = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// residentBytes is the memory that the daemon has.
func (s *system) residentBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := residentPattern.FindSubmatch(text)
	if found == nil {
		t.Fatalf("no VmRSS in %s", text)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
