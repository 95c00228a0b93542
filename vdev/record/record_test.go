package record

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"sluice/vdev/wire"
)

var header = Header{MemoryBytes: 1 << 20, ArenaBytes: 1 << 21, CreditBytes: 1 << 19}

// written is a recording of entries.
func written(t testing.TB, write func(*Writer)) []byte {
	t.Helper()
	var file bytes.Buffer
	w := NewWriter(&file)
	if !w.Begin(header) {
		t.Fatal("a new recording has a header already")
	}
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func read(file []byte) (Header, []Entry, error) {
	r, err := NewReader(bytes.NewReader(file))
	if err != nil {
		return Header{}, nil, err
	}
	var all []Entry
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) {
			return r.Header, all, nil
		}
		if err != nil {
			return r.Header, all, err
		}
		all = append(all, e)
	}
}

// A frame's data follow it at once, whatever is said while it is open, and are as they were then.
func TestOrder(t *testing.T) {
	frame, data, answer := []byte("a frame with 24 bytes..."), []byte("data"), []byte("answer")
	file := written(t, func(w *Writer) {
		if w.Begin(header) {
			t.Error("a second session is let in")
		}
		w.Open(frame)
		w.Add(Entry{Kind: Ticket, Place: 7, Value: wire.TicketDone})
		w.Add(Entry{Kind: Data, Place: wire.PlaceArena, Value: 4096, Bytes: data})
		w.Add(Entry{Kind: Answer, Place: 1, Value: 5, Bytes: answer})
		copy(data, "DATA")
		copy(answer, "ANSWER")
		w.Taken()
		w.Taken()
		w.Add(Entry{Kind: Result, Place: wire.PlaceStaging, Value: 1, Bytes: []byte("result")})
	})
	want := []Entry{
		{Kind: Frame, Bytes: frame},
		{Kind: Data, Place: wire.PlaceArena, Value: 4096, Bytes: []byte("data")},
		{Kind: Ticket, Place: 7, Value: wire.TicketDone, Bytes: []byte{}},
		{Kind: Answer, Place: 1, Value: 5, Bytes: []byte("answer")},
		{Kind: Result, Place: wire.PlaceStaging, Value: 1, Bytes: []byte("result")},
	}
	got, entries, err := read(file)
	if err != nil || got != header || !reflect.DeepEqual(entries, want) {
		t.Errorf("%+v, %v, %v\nwant %v", got, entries, err, want)
	}
}

func TestWhatIsBeyondTheLimits(t *testing.T) {
	large := make([]byte, wire.FrameMax+8)
	for name, e := range map[string]Entry{
		"no kind":             {},
		"a kind of its own":   {Kind: Result + 1},
		"a short frame":       {Kind: Frame, Bytes: large[:4]},
		"a long frame":        {Kind: Frame, Bytes: large},
		"data nowhere":        {Kind: Data, Place: wire.PlaceObject, Bytes: large[:8]},
		"data past the arena": {Kind: Data, Place: wire.PlaceArena, Value: header.ArenaBytes - 4, Bytes: large[:8]},
		"data far out":        {Kind: Data, Place: wire.PlaceArena, Value: math.MaxUint64, Bytes: large[:8]},
		"data past staging":   {Kind: Result, Place: wire.PlaceStaging, Value: wire.StagingSize, Bytes: large[:1]},
		"slot 0":              {Kind: Answer},
		"a slot too many":     {Kind: Answer, Place: wire.SlotCount + 1},
		"ticket 0":            {Kind: Ticket},
		"a ticket too many":   {Kind: Ticket, Place: wire.TicketCount + 1},
		"a ticket with bytes": {Kind: Ticket, Place: 1, Bytes: large[:1]},
	} {
		file := written(t, func(w *Writer) { w.mutex.Lock(); w.write(e); w.mutex.Unlock() })
		if _, _, err := read(file); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	whole := written(t, func(w *Writer) { w.Open(large[:64]); w.Taken() })
	if _, _, err := read(whole[:len(whole)-12]); err == nil {
		t.Error("a recording that was cut off is whole")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAnErrorIsToldAtTheEnd(t *testing.T) {
	w := NewWriter(full{})
	w.Begin(header)
	w.Open(make([]byte, 8))
	w.Taken()
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written(f, func(w *Writer) {
		w.Open(make([]byte, 16))
		w.Add(Entry{Kind: Data, Place: wire.PlaceArena, Bytes: []byte("data")})
		w.Taken()
		w.Add(Entry{Kind: Answer, Place: 3, Bytes: []byte("answer")})
	}))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, entries, err := read(file)
		if err == nil && len(entries) > 0 && entries[0].Kind == Data && uint64(len(entries[0].Bytes)) > max(h.ArenaBytes, wire.StagingSize) {
			t.Errorf("data of %d bytes in an arena of %d", len(entries[0].Bytes), h.ArenaBytes)
		}
	})
}
