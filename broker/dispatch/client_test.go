package dispatch_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/vdev/spec"
	"sluice/vdev/wire"
)

// client is a shim that writes whatever frames a test wants.
type client struct {
	conn           *net.UnixConn
	fds            [2]int
	segment, arena []byte
	welcome        wire.Welcome
	head           uint64
}

// clientTimeout bounds the wait for an answer or for the session's end.
const clientTimeout = 20 * time.Second

// Handles that a test's objects have.
const (
	contextHandle = wire.FirstHandle + iota
	queueHandle
	bufferHandle
	programHandle
	kernelHandle
	eventHandle
	spareHandle
)

// open greets the server.
func (s *server) open(t *testing.T) *client {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: s.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{conn: conn, fds: [2]int{-1, -1}}
	t.Cleanup(c.close)
	hello, err := wire.AppendHello(nil, wire.Hello{Token: "t", ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: uint32(os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	answer, control := make([]byte, wire.WelcomeSize), make([]byte, unix.CmsgSpace(8))
	n, controls, _, _, err := conn.ReadMsgUnix(answer, control)
	if err == nil {
		c.welcome, err = wire.ParseWelcome(answer[:n])
	}
	if err != nil {
		t.Fatalf("no welcome: %x, %v", answer[:n], err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil || len(messages) != 1 {
		t.Fatalf("no descriptors: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 2 {
		t.Fatalf("descriptors %v: %v", fds, err)
	}
	copy(c.fds[:], fds)
	c.segment = mapShared(t, fds[0], wire.SegmentSize)
	c.arena = mapShared(t, fds[1], int(c.welcome.ArenaBytes))
	return c
}

func mapShared(t *testing.T, fd, size int) []byte {
	t.Helper()
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (c *client) close() {
	_ = c.conn.Close()
	for _, b := range [][]byte{c.segment, c.arena} {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
	for _, fd := range c.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	c.segment, c.arena, c.fds = nil, nil, [2]int{-1, -1}
}

func (c *client) word32(offset int) *uint32 { return (*uint32)(unsafe.Pointer(&c.segment[offset])) }
func (c *client) word64(offset int) *uint64 { return (*uint64)(unsafe.Pointer(&c.segment[offset])) }

// text is bytes as they travel in a frame.
type text string

// frame makes a call's frame. An argument is a number or a text.
func frame(call string, slot int, arguments ...any) []byte {
	return numbered(numberOf(call), slot, arguments...)
}

func numbered(number uint16, slot int, arguments ...any) []byte {
	b := make([]byte, wire.FrameHeader)
	for _, a := range arguments {
		switch a := a.(type) {
		case int:
			b = binary.LittleEndian.AppendUint64(b, uint64(a))
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, a)
		case text:
			b = binary.LittleEndian.AppendUint64(b, uint64(len(a)))
			b = append(b, a...)
			b = append(b, make([]byte, -len(a)&7)...)
		default:
			panic("an argument that does not travel")
		}
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[4:], number)
	binary.LittleEndian.PutUint16(b[6:], uint16(slot))
	return b
}

// numberOf panics where the description has no such call.
func numberOf(name string) uint16 {
	for _, c := range spec.OpenCL.All() {
		if c.Name == name {
			return c.Number
		}
	}
	panic("no call " + name)
}

// push writes bytes to the ring and rings.
func (c *client) push(frames ...[]byte) {
	for _, f := range frames {
		at := c.head & (wire.RingSize - 1)
		if int(at)+len(f) > wire.RingSize {
			c.fill(wire.RingSize - at)
			at = 0
		}
		c.write(at, f)
		c.advance(c.head + uint64(len(f)))
	}
}

func (c *client) write(at uint64, b []byte) { copy(c.segment[wire.RingOffset+at:], b) }

// fill skips the rest of the ring.
func (c *client) fill(rest uint64) {
	filler := make([]byte, wire.FrameHeader)
	binary.LittleEndian.PutUint32(filler, uint32(rest))
	c.write(c.head&(wire.RingSize-1), filler)
	c.advance(c.head + rest)
}

func (c *client) advance(head uint64) {
	for head-atomic.LoadUint64(c.word64(wire.WordTail)) > wire.RingSize-wire.FrameMax && head-c.head <= wire.FrameMax {
		time.Sleep(time.Millisecond)
		if c.gone() {
			break
		}
	}
	c.head = head
	atomic.StoreUint64(c.word64(wire.WordHead), head)
	c.ring()
}

func (c *client) ring() {
	atomic.AddUint32(c.word32(wire.WordDoorbell), 1)
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(c.word32(wire.WordDoorbell))), 1 /* FUTEX_WAKE */, math.MaxInt32, 0, 0, 0)
}

// slotAt is a completion slot by its number in a frame.
func (c *client) slotAt(slot int) []byte {
	return c.segment[wire.SlotsOffset+(slot-1)*wire.SlotSize:][:wire.SlotSize]
}

// call sends a frame with slot 1 and returns the status and the payload.
func (c *client) call(t *testing.T, name string, arguments ...any) (status int32, payload []byte) {
	t.Helper()
	slot := c.slotAt(1)
	state := (*uint32)(unsafe.Pointer(&slot[0]))
	atomic.StoreUint32(state, wire.SlotPending)
	c.push(frame(name, 1, arguments...))
	deadline := time.Now().Add(clientTimeout)
	for atomic.LoadUint32(state) != wire.SlotDone {
		if time.Now().After(deadline) {
			t.Fatalf("%s: no answer", name)
		}
		if c.gone() {
			t.Fatalf("%s: the session ended", name)
		}
		time.Sleep(50 * time.Microsecond)
	}
	length := binary.LittleEndian.Uint32(slot[8:])
	if binary.LittleEndian.Uint32(slot[12:]) != 0 {
		offset := binary.LittleEndian.Uint64(slot[16:])
		return int32(binary.LittleEndian.Uint32(slot[4:])), c.arena[offset:][:length]
	}
	return int32(binary.LittleEndian.Uint32(slot[4:])), slot[16:][:length]
}

// want is call for one that must answer with a status.
func (c *client) want(t *testing.T, status int32, name string, arguments ...any) []byte {
	t.Helper()
	got, payload := c.call(t, name, arguments...)
	if got != status {
		t.Fatalf("%s: status %d, want %d", name, got, status)
	}
	return payload
}

// gone says whether the worker has ended the session.
func (c *client) gone() bool {
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Microsecond)); err != nil {
		return true
	}
	_, err := c.conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// ended waits for the worker to end the session.
func (c *client) ended(t *testing.T) {
	t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(clientTimeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("the session goes on: %v", err)
	}
}

const programSource = "kernel void k(global int *a, int b, local int *c) { a[0] = b; }"

// furnish makes one object of each kind.
func (c *client) furnish(t *testing.T) {
	t.Helper()
	c.want(t, 0, "clCreateContext", 1, wire.DeviceHandle, contextHandle)
	c.want(t, 0, "clCreateCommandQueueWithProperties", contextHandle, wire.DeviceHandle, queueHandle, 0)
	c.want(t, 0, "clCreateBuffer", contextHandle, bufferHandle, 1, 4096)
	c.want(t, 0, "clCreateProgramWithSource", contextHandle, programHandle, text(programSource))
	c.want(t, 0, "clBuildProgram", programHandle, 0, text(""), text(""), text(""))
	c.want(t, 0, "clCreateKernel", programHandle, kernelHandle, text("k"))
	c.want(t, 0, "clCreateUserEvent", contextHandle, eventHandle)
}
