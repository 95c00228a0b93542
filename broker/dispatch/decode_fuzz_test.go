package dispatch

import (
	"encoding/binary"
	"errors"
	"testing"
	"unsafe"

	"sluice/vdev/spec"
	"sluice/vdev/wire"
)

// carriedOut are the calls that reach the driver or the Lease though every
// handle is refused.
var carriedOut = map[string]bool{
	"clCreateContext": true, "clGetDeviceAndHostTimer": true, "clWaitForEvents": true, "describe": true, "credit": true,
	"output": true, "settle": true, "clLinkProgram": true,
}

// FuzzDecode reads frames of every call in a session whose objects were all
// refused, so that each frame is read to its end and none is carried out. It
// must not panic, and what it accepts must have used the frame up.
func FuzzDecode(f *testing.F) {
	var calls []spec.Call
	for _, c := range spec.OpenCL.All() {
		if !carriedOut[c.Name] && callName(c.Number) != "unknown" {
			calls = append(calls, c)
		}
	}
	for i, c := range calls {
		f.Add(uint16(i), plainFrame(c), true)
	}
	s, err := decodingSession()
	if err != nil {
		f.Fatal(err)
	}
	t := &thread{session: s, decoder: decoder{session: s, scratch: new(scratch)}}
	f.Fuzz(func(test *testing.T, call uint16, body []byte, waits bool) {
		if len(body) > wire.FrameMax-wire.FrameHeader {
			return
		}
		refuseAll(s)
		t.begin(t.scratch.frame[:copy(t.scratch.frame[:], body)])
		t.reply, t.waiter = t.reply[:0], 0
		if waits {
			t.waiter = 1
		}
		number := calls[int(call)%len(calls)].Number
		status := t.dispatch(number)
		switch {
		case t.violation != nil && !errors.Is(t.violation, ErrProtocol):
			test.Errorf("%s: %v", callName(number), t.violation)
		case t.violation != nil:
		case len(t.rest) != 0:
			test.Errorf("%s: %d bytes are left", callName(number), len(t.rest))
		case t.refused != 0:
			t.abandon(status)
		}
		for offset := range s.reserved {
			s.unreserve(offset)
		}
		if len(s.places.free) != 1 {
			test.Errorf("%s: the arena is not whole: %v", callName(number), s.places.free)
		}
	})
}

// plainFrame has the least of every argument.
func plainFrame(c spec.Call) []byte {
	var b []byte
	for _, f := range c.Wire {
		switch f.Kind {
		case spec.Handle:
			b = binary.LittleEndian.AppendUint64(b, wire.FirstHandle+uint64(f.Object))
		case spec.New:
			b = binary.LittleEndian.AppendUint64(b, 100)
		case spec.Sizes:
			b = binary.LittleEndian.AppendUint64(b, wire.ListAbsent)
		default:
			b = binary.LittleEndian.AppendUint64(b, 0)
		}
	}
	return b
}

// decodingSession has memory, but neither a Lease nor a driver.
func decodingSession() (*Session, error) {
	const arenaBytes = 1 << 20
	shared, err := newSegment()
	if err != nil {
		return nil, err
	}
	arenaShared, err := newShared("sluice-arena", arenaBytes, 0)
	if err != nil {
		return nil, err
	}
	return &Session{lease: &Lease{}, shared: shared, arenaShared: arenaShared, places: newArena(arenaBytes), reserved: map[uint64]extent{}}, nil
}

// refuseAll leaves one refused object of each kind, and a place for bytes.
func refuseAll(s *Session) {
	s.objects.chunks = [len(s.objects.chunks)]*[chunkObjects]object{}
	for k := kindPlatform; k <= kindEvent; k++ {
		*s.objects.room(wire.FirstHandle + uint64(k)) = object{kind: k, failed: -1, buffer: &buffer{size: 64}, arguments: []uint32{0, 1, 2}, build: &build{}}
	}
	s.reserve(64 << 10)
}

func TestSegmentIsWhatTheWireSays(t *testing.T) {
	s, err := newSegment()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if len(s.bytes) != wire.SegmentSize || uintptr(unsafe.Pointer(&s.bytes[0]))%pageBytes != 0 {
		t.Errorf("a segment of %d bytes at %p", len(s.bytes), &s.bytes[0])
	}
	parts := []struct {
		name         string
		offset, size int
	}{
		{"words", 0, wire.WordsSize},
		{"slots", wire.SlotsOffset, wire.SlotCount * wire.SlotSize},
		{"tickets", wire.TicketOffset, wire.TicketCount * 4},
		{"ring", wire.RingOffset, wire.RingSize},
		{"staging", wire.StagingOffset, wire.StagingSize},
	}
	for i, a := range parts {
		if a.offset%64 != 0 || a.offset+a.size > len(s.bytes) {
			t.Errorf("%s: %d bytes at %d of %d", a.name, a.size, a.offset, len(s.bytes))
		}
		for _, b := range parts[i+1:] {
			if a.offset < b.offset+b.size && b.offset < a.offset+a.size {
				t.Errorf("%s and %s overlap", a.name, b.name)
			}
		}
	}
}
