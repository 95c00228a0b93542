package trace

import (
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const line = "12 13 clFinish -5 5001500 2500 24 8 1 0"

func TestParse(t *testing.T) {
	status := int32(-5)
	want := Call{
		Process: 12, Thread: 13, Name: "clFinish", Status: &status,
		BeginUS: 1.5, DurationUS: 2.5, SentBytes: 24, ReceivedBytes: 8, Waits: 1,
	}
	got, err := Parse(line, 5_000_000)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	if got, err := Parse("1 1 clSVMFree - 1 1 0 0 0 0", 0); err != nil || got.Status != nil {
		t.Errorf("got %+v (%v), want a call without a status", got, err)
	}
}

func TestParseRejects(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":            "",
		"a field too few":    "12 13 clFinish 0 5001500 2500 24 8 1",
		"a field too many":   line + " 0",
		"two blanks":         "12  13 clFinish 0 5001500 2500 24 8 1 0",
		"an unknown call":    "12 13 clFinis\x1b[2J 0 5001500 2500 24 8 1 0",
		"an extension":       "12 13 clCreateFromGLBuffer 0 5001500 2500 24 8 1 0",
		"a wide status":      "12 13 clFinish 2147483648 5001500 2500 24 8 1 0",
		"a negative length":  "12 13 clFinish 0 5001500 -1 24 8 1 0",
		"a number too large": "12 13 clFinish 0 5001500 2500 9007199254740993 8 1 0",
		"a thread too large": "12 4194305 clFinish 0 5001500 2500 24 8 1 0",
		"a begin too early":  "12 13 clFinish 0 4999999 2500 24 8 1 0",
		"another base":       "12 13 clFinish 0 0x5001500 2500 24 8 1 0",
		"two lines in one":   line + line,
	} {
		if call, err := Parse(text, 5_000_000); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %+v, %v", what, call, err)
		}
	}
}

// The same lines, however they come.
func TestReader(t *testing.T) {
	long := strings.Repeat("x", 3*LineMax)
	text := line + "\n" + long + "\n\n" + line + "\nhalf" + line + "\n" + line + "\n" + line
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "by bytes": iotest.OneByteReader, "by halves": iotest.HalfReader,
	} {
		t.Run(name, func(t *testing.T) {
			reader := NewReader(wrap(strings.NewReader(text)), 0)
			count := 0
			n, err := reader.Read(math.MaxInt64, func(Call) { count++ })
			if err != nil || n != int64(len(text)) || count != 3 {
				t.Errorf("%d calls of %d bytes, %v; want 3 of %d", count, n, err, len(text))
			}
			if rejected, why := reader.Rejected(); rejected != 4 || !errors.Is(why, ErrInvalid) {
				t.Errorf("%d rejected: %v; want the long one, the empty one, the mixed one and the last one", rejected, why)
			}
		})
	}
}

// No more is read than is asked for.
func TestReaderStops(t *testing.T) {
	reader := NewReader(strings.NewReader(strings.Repeat(line+"\n", 10_000)), 0)
	most, count := int64(3*len(line)+4), 0
	n, err := reader.Read(most, func(Call) { count++ })
	if err != nil || n != most || count != 3 {
		t.Errorf("%d calls of %d bytes, %v; want 3 of %d", count, n, err, most)
	}
}

// A line whose end comes later is read then.
func TestReaderFollows(t *testing.T) {
	var file strings.Builder
	var names []string
	reader := NewReader(readerFunc(func(into []byte) (int, error) {
		text := file.String()
		file.Reset()
		n := copy(into, text)
		file.WriteString(text[n:])
		if n == 0 {
			return 0, io.EOF
		}
		return n, nil
	}), 0)
	for _, part := range []string{line[:20], line[20:] + "\n" + line, "\n"} {
		file.WriteString(part)
		if _, err := reader.Read(math.MaxInt64, func(call Call) { names = append(names, call.Name) }); err != nil {
			t.Fatal(err)
		}
	}
	if rejected, why := reader.Rejected(); rejected != 0 || len(names) != 2 {
		t.Errorf("%v, %d rejected: %v", names, rejected, why)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

func TestSummary(t *testing.T) {
	var summary Summary
	failed := int32(-36)
	for _, call := range []Call{
		{Name: "clFlush", DurationUS: 1, SentBytes: 24},
		{Name: "clFinish", DurationUS: 5, SentBytes: 24, ReceivedBytes: 4, Waits: 2},
		{Name: "clFlush", DurationUS: 3, SentBytes: 24, Status: &failed},
		{Name: "clCreateBuffer", DurationUS: 4},
	} {
		summary.Add(call)
	}
	want := []Total{
		{Name: "clFinish", Count: 1, TotalUS: 5, MeanUS: 5, MaxUS: 5, SentBytes: 24, ReceivedBytes: 4, Waited: 1},
		{Name: "clCreateBuffer", Count: 1, TotalUS: 4, MeanUS: 4, MaxUS: 4},
		{Name: "clFlush", Count: 2, TotalUS: 4, MeanUS: 2, MaxUS: 3, SentBytes: 48, Failed: 1},
	}
	if got := summary.Totals(); !slices.Equal(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// FuzzReader feeds what a program might have written in place of a trace.
func FuzzReader(f *testing.F) {
	f.Add([]byte(line+"\n"), uint64(0))
	f.Add([]byte("half"+line+"\n"+line), uint64(5_000_000))
	f.Fuzz(func(t *testing.T, text []byte, start uint64) {
		reader := NewReader(strings.NewReader(string(text)), start)
		count := uint64(0)
		_, err := reader.Read(math.MaxInt64, func(call Call) {
			count++
			if !names[call.Name] || call.BeginUS < 0 || call.DurationUS < 0 {
				t.Errorf("got %+v", call)
			}
		})
		lines := uint64(strings.Count(string(text), "\n"))
		rejected, _ := reader.Rejected()
		if err != nil || count+rejected < lines || count+rejected > lines+1 || len(reader.rest) > LineMax {
			t.Errorf("%d calls and %d rejected of %d lines, %d bytes kept: %v", count, rejected, lines, len(reader.rest), err)
		}
	})
}
