package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sluice/vdev/wire"
)

// Errors of a replay.
var (
	ErrLease   = errors.New("the lease is not like the recorded one")
	ErrSession = errors.New("the session ended")
)

// Report is what came of a replay.
type Report struct {
	Frames, Answers, Results int
	// Differences are the first differencesMax of what was answered otherwise.
	Differences []string
	// Differing counts all.
	Differing int
}

const differencesMax = 20

// Judge says which answers are compared.
type Judge struct {
	// Name of a call, by its number.
	Name func(call uint16) string
	// Volatile calls are answered by the time of day, or by what the device has come to.
	Volatile func(call uint16) bool
}

// Replay greets the worker at conn as the shim did, says what it said, in the same order, and compares the answers. A frame is
// sent when all answers are there that the worker had given before it took that frame. The Lease must be steady
// (broker/dispatch, Limits) and of the recording's memory.
func Replay(ctx context.Context, conn *net.UnixConn, from *Reader, judge Judge) (Report, error) {
	s, err := greet(conn, from.Header)
	if err != nil {
		return Report{}, err
	}
	defer s.unmap()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		// The connection carries nothing after the greeting.
		_, _ = conn.Read(make([]byte, 1))
		cancel(ErrSession)
	}()
	r := replay{speaker: s, judge: judge}
	for {
		e, err := from.Next()
		if errors.Is(err, io.EOF) {
			return r.report, r.send(ctx)
		}
		if err == nil {
			err = r.take(ctx, e)
		}
		if err != nil {
			return r.report, err
		}
	}
}

// replay is one that is under way.
type replay struct {
	*speaker
	judge  Judge
	report Report
	frame  []byte // not sent yet: its data come first
	calls  [wire.SlotCount + 1]uint16
}

func (r *replay) take(ctx context.Context, e Entry) error {
	if e.Kind == Data {
		copy(r.at(e), e.Bytes)
		return nil
	}
	if err := r.send(ctx); err != nil {
		return err
	}
	switch e.Kind {
	case Frame:
		r.frame = e.Bytes
	case Answer:
		r.report.Answers++
		return r.answer(ctx, e)
	case Ticket:
		word := r.word32(wire.TicketOffset + 4*int(e.Place-1))
		if err := poll(ctx, func() bool { return atomic.LoadUint32(word) != 0 }); err != nil {
			return fmt.Errorf("waiting for ticket %d: %w", e.Place, err)
		}
		if state := atomic.SwapUint32(word, 0); state != uint32(e.Value) {
			r.differ("ticket %d is %d, was %d", e.Place, state, e.Value)
		}
	case Result:
		r.report.Results++
		if got := r.at(e); !bytes.Equal(got, e.Bytes) {
			i := 0
			for got[i] == e.Bytes[i] {
				i++
			}
			r.differ("a result of %d bytes at %d: byte %d is %#x, was %#x", len(e.Bytes), e.Value, i, got[i], e.Bytes[i])
		}
	}
	return nil
}

func (r *replay) differ(format string, a ...any) {
	if r.report.Differing++; r.report.Differing <= differencesMax {
		r.report.Differences = append(r.report.Differences, fmt.Sprintf("after frame %d: ", r.report.Frames)+fmt.Sprintf(format, a...))
	}
}

// send writes the frame whose data are all there.
func (r *replay) send(ctx context.Context) error {
	if r.frame == nil {
		return nil
	}
	r.report.Frames++
	call, slot := binary.LittleEndian.Uint16(r.frame[4:]), binary.LittleEndian.Uint16(r.frame[6:])
	if slot > 0 && slot <= wire.SlotCount {
		r.calls[slot] = call
		atomic.StoreUint32(r.word32(slotAt(uint32(slot))), wire.SlotPending)
	}
	frame := r.frame
	r.frame = nil
	if err := r.push(ctx, frame); err != nil {
		return fmt.Errorf("sending %s: %w", r.judge.Name(call), err)
	}
	return nil
}

func slotAt(slot uint32) int { return wire.SlotsOffset + (int(slot)-1)*wire.SlotSize }

// answer waits for a slot, and compares what it holds.
func (r *replay) answer(ctx context.Context, e Entry) error {
	call, first := r.calls[e.Place], slotAt(e.Place)
	state := r.word32(first)
	if err := poll(ctx, func() bool { return atomic.LoadUint32(state) == wire.SlotDone }); err != nil {
		return fmt.Errorf("waiting for the answer to %s: %w", r.judge.Name(call), err)
	}
	slot := r.segment[first:][:wire.SlotSize]
	status, length := binary.LittleEndian.Uint32(slot[4:]), uint64(binary.LittleEndian.Uint32(slot[8:]))
	payload := slot[16:]
	if binary.LittleEndian.Uint32(slot[12:]) != 0 {
		offset := binary.LittleEndian.Uint64(payload)
		if offset > uint64(len(r.arena)) {
			return fmt.Errorf("%w: with an answer at arena offset %d", ErrSession, offset)
		}
		payload = r.arena[offset:]
	}
	if length > uint64(len(payload)) {
		return fmt.Errorf("%w: with an answer of %d bytes", ErrSession, length)
	}
	switch {
	case r.judge.Volatile(call):
	case status != uint32(e.Value):
		r.differ("%s: status %d, was %d", r.judge.Name(call), int32(status), int32(e.Value))
	case !bytes.Equal(payload[:length], e.Bytes):
		r.differ("%s: answers %x, was %x", r.judge.Name(call), payload[:length], e.Bytes)
	}
	return nil
}

// speaker writes to a Session's memory as the shim does.
type speaker struct {
	segment, arena []byte
	head           uint64
}

// greet opens a Session.
func greet(conn *net.UnixConn, h Header) (*speaker, error) {
	hello, err := wire.AppendHello(nil, wire.Hello{ProtocolHash: wire.ProtocolHash, APIVersion: wire.APIVersion, PID: uint32(os.Getpid())})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(hello); err != nil {
		return nil, fmt.Errorf("greeting the worker: %w", err)
	}
	answer, control := make([]byte, wire.WelcomeSize+wire.RefusalMax), make([]byte, unix.CmsgSpace(8))
	n, controls, _, _, err := conn.ReadMsgUnix(answer, control)
	if err != nil {
		return nil, fmt.Errorf("reading the welcome: %w", err)
	}
	welcome, err := wire.ParseWelcome(answer[:n])
	if err != nil {
		return nil, err
	}
	var fds []int
	if messages, err := unix.ParseSocketControlMessage(control[:controls]); err == nil && len(messages) == 1 {
		fds, _ = unix.ParseUnixRights(&messages[0])
	}
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	if len(fds) != 2 || welcome.ArenaBytes != h.ArenaBytes || welcome.CreditBytes != h.CreditBytes {
		return nil, fmt.Errorf("%w: arena %d and credit %d bytes, were %d and %d", ErrLease,
			welcome.ArenaBytes, welcome.CreditBytes, h.ArenaBytes, h.CreditBytes)
	}
	s := &speaker{}
	if s.segment, err = mapShared(fds[0], wire.SegmentSize); err != nil {
		return nil, err
	}
	if s.arena, err = mapShared(fds[1], int(welcome.ArenaBytes)); err != nil {
		s.unmap()
		return nil, err
	}
	return s, nil
}

func mapShared(fd, size int) ([]byte, error) {
	b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes of the session's memory: %w", size, err)
	}
	return b, nil
}

func (s *speaker) unmap() {
	for _, b := range [][]byte{s.segment, s.arena} {
		if b != nil {
			_ = unix.Munmap(b)
		}
	}
}

// at is where the bytes of Data or a Result lie; the Reader has checked that they do.
func (s *speaker) at(e Entry) []byte {
	memory := s.arena
	if e.Place == wire.PlaceStaging {
		memory = s.segment[wire.StagingOffset:]
	}
	return memory[e.Value:][:len(e.Bytes)]
}

func (s *speaker) word32(offset int) *uint32 { return (*uint32)(unsafe.Pointer(&s.segment[offset])) }

func (s *speaker) word64(offset int) *uint64 { return (*uint64)(unsafe.Pointer(&s.segment[offset])) }

// push writes a frame to the ring when there is room, and rings.
func (s *speaker) push(ctx context.Context, frame []byte) error {
	rest := wire.RingSize - int(s.head&(wire.RingSize-1))
	if rest < len(frame) {
		filler := make([]byte, wire.FrameHeader)
		binary.LittleEndian.PutUint32(filler, uint32(rest))
		if err := s.write(ctx, filler, rest); err != nil {
			return err
		}
	}
	return s.write(ctx, frame, len(frame))
}

func (s *speaker) write(ctx context.Context, b []byte, size int) error {
	tail := s.word64(wire.WordTail)
	if err := poll(ctx, func() bool { return s.head+uint64(size)-atomic.LoadUint64(tail) <= wire.RingSize }); err != nil {
		return fmt.Errorf("waiting for room in the ring: %w", err)
	}
	copy(s.segment[wire.RingOffset+s.head&(wire.RingSize-1):], b)
	s.head += uint64(size)
	atomic.StoreUint64(s.word64(wire.WordHead), s.head)
	if atomic.SwapUint32(s.word32(wire.WordAsleep), 0) != 0 {
		bell := s.word32(wire.WordDoorbell)
		atomic.AddUint32(bell, 1)
		const wakeOne = 1 // FUTEX_WAKE of one
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(bell)), wakeOne, 1, 0, 0, 0)
	}
	return nil
}

const (
	pollSpins = 1000
	pollEvery = 50 * time.Microsecond
)

// poll returns when done says so, or with the cause of ctx's end.
func poll(ctx context.Context, done func() bool) error {
	for i := 0; !done(); i++ {
		if i < pollSpins {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollEvery):
		}
	}
	return nil
}
