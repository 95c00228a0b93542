// Package record keeps what a Session's shim and worker say to each other, and says the shim's part again: as test data, and
// to find what went wrong in a program that is not at hand.
//
// # Format
//
// A recording is a header and entries, all numbers little-endian. The header is six u64: Magic, wire.ProtocolHash, and
// the Lease's memory, the arena's size, the credit and 0. An entry is
//
//	u32 kind
//	u32 place    of Data and Result wire.PlaceStaging or wire.PlaceArena; of an Answer its slot; of a Ticket its number
//	u64 value    of Data and Result the offset in the place; of an Answer the status; of a Ticket its state
//	u64 length   bytes that follow
//
// in the order in which the worker took frames and gave answers. Data follow the frame that has the worker read them.
package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"sluice/vdev/wire"
)

// Magic opens a recording.
const Magic uint64 = 0x31434552494c53 // "SLIREC1"

// ErrFormat is the error of a file that is no recording, or one of another build's protocol.
var ErrFormat = errors.New("not a recording of this protocol")

// Header says what the Lease was.
type Header struct{ MemoryBytes, ArenaBytes, CreditBytes uint64 }

// Kind is what an Entry is.
type Kind uint32

// Kinds of entries.
const (
	Frame  Kind = 1 // what the shim wrote to the ring
	Data   Kind = 2 // what it had the worker read elsewhere
	Answer Kind = 3 // a completed slot, with its payload
	Ticket Kind = 4 // a ticket that the worker has set
	Result Kind = 5 // what the worker had the shim read elsewhere
)

// Entry is one thing that was said.
type Entry struct {
	Kind  Kind
	Place uint32
	Value uint64
	Bytes []byte
}

const (
	headerSize = 6 * 8
	entrySize  = 4 + 4 + 8 + 8
)

// Writer writes a recording. Its methods may be called by several goroutines; their order is the recording's. The first error
// is told by Close.
type Writer struct {
	mutex sync.Mutex
	out   *bufio.Writer
	begun bool
	open  bool    // a frame is, whose data are not all there
	frame []Entry // with its data
	later []Entry // what was said meanwhile
	err   error
}

// NewWriter makes a Writer that writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriter(w)} }

// Begin writes the header. It returns false where there is one already: a recording holds one Session.
func (w *Writer) Begin(h Header) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.begun {
		return false
	}
	w.begun = true
	var b []byte
	for _, v := range [headerSize / 8]uint64{Magic, wire.ProtocolHash, h.MemoryBytes, h.ArenaBytes, h.CreditBytes} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	_, w.err = w.out.Write(b)
	return true
}

// Open begins a frame, whose Data may follow until Taken.
func (w *Writer) Open(frame []byte) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.open, w.frame = true, append(w.frame[:0], Entry{Kind: Frame, Bytes: frame})
}

// Taken writes the frame that is open with its data, and then what has come meanwhile.
func (w *Writer) Taken() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.open {
		return
	}
	w.open = false
	for _, e := range append(w.frame, w.later...) {
		w.write(e)
	}
	clear(w.later)
	w.later = w.later[:0]
}

// Add writes an entry. Its bytes may change afterwards.
func (w *Writer) Add(e Entry) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	switch {
	case e.Kind == Data:
		e.Bytes = slices.Clone(e.Bytes)
		w.frame = append(w.frame, e)
	case w.open:
		e.Bytes = slices.Clone(e.Bytes)
		w.later = append(w.later, e)
	default:
		w.write(e)
	}
}

func (w *Writer) write(e Entry) {
	if w.err != nil {
		return
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, entrySize), uint32(e.Kind))
	b = binary.LittleEndian.AppendUint32(b, e.Place)
	b = binary.LittleEndian.AppendUint64(b, e.Value)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(e.Bytes)))
	if _, w.err = w.out.Write(b); w.err == nil {
		_, w.err = w.out.Write(e.Bytes)
	}
}

// Close writes what is left, and returns the first error.
func (w *Writer) Close() error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err := w.out.Flush(); w.err == nil {
		w.err = err
	}
	if w.err != nil {
		return fmt.Errorf("writing the recording: %w", w.err)
	}
	return nil
}

// Reader reads a recording.
type Reader struct {
	Header Header
	in     io.Reader
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReader(r)
	var b [headerSize]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return nil, fmt.Errorf("%w: its header: %w", ErrFormat, err)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	if word(0) != Magic {
		return nil, ErrFormat
	}
	if word(1) != wire.ProtocolHash {
		return nil, fmt.Errorf("%w: its protocol is %x, this one's %x", ErrFormat, word(1), wire.ProtocolHash)
	}
	return &Reader{Header: Header{MemoryBytes: word(2), ArenaBytes: word(3), CreditBytes: word(4)}, in: in}, nil
}

// Next returns the next entry, and io.EOF after the last.
func (r *Reader) Next() (Entry, error) {
	var b [entrySize]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Entry{}, io.EOF
		}
		return Entry{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	e := Entry{
		Kind:  Kind(binary.LittleEndian.Uint32(b[0:])),
		Place: binary.LittleEndian.Uint32(b[4:]),
		Value: binary.LittleEndian.Uint64(b[8:]),
	}
	length := binary.LittleEndian.Uint64(b[16:])
	if err := r.check(e, length); err != nil {
		return Entry{}, err
	}
	// What a length promises is made room for as it comes.
	var err error
	if e.Bytes, err = io.ReadAll(io.LimitReader(r.in, int64(length))); err != nil || uint64(len(e.Bytes)) != length {
		return Entry{}, fmt.Errorf("%w: an entry of %d bytes ends after %d: %w", ErrFormat, length, len(e.Bytes), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return e, nil
}

// check holds an entry to the limits of the Session's memory.
func (r *Reader) check(e Entry, length uint64) error {
	within := func(size uint64) bool { return e.Value <= size && length <= size-e.Value }
	fits := false
	switch e.Kind {
	case Frame:
		fits = length >= wire.FrameHeader && length <= wire.FrameMax
	case Data, Result:
		fits = e.Place == wire.PlaceStaging && within(wire.StagingSize) || e.Place == wire.PlaceArena && within(r.Header.ArenaBytes)
	case Answer:
		fits = e.Place >= 1 && e.Place <= wire.SlotCount && length <= wire.BytesMax
	case Ticket:
		fits = e.Place >= 1 && e.Place <= wire.TicketCount && length == 0
	}
	if !fits {
		return fmt.Errorf("%w: an entry of kind %d, place %d, value %d and %d bytes", ErrFormat, e.Kind, e.Place, e.Value, length)
	}
	return nil
}
